//! Holds answers against the API's own description.
//!
//! Each answer must be one that the description has for its operation: the status, the content
//! type, the document member by member. Members that are not described are refused, although
//! clients must expect them: here, they show a description that is out of date.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use anyhow::{Context as _, Result, bail, ensure};
use http_api::json::DOCUMENT;
use integration_tests::http_client::{Answer, Request};
use parking_lot::Mutex;
use serde_json::Value;

/// The description.
static CONTRACT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(DOCUMENT).expect("the description is JSON"));

/// The documented answers that some test has seen.
static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Follows a reference.
fn resolved(value: &'static Value) -> Result<&'static Value> {
    match value.get("$ref").and_then(Value::as_str) {
        None => Ok(value),
        Some(path) => {
            let path = path.strip_prefix('#').context("a reference to elsewhere")?;
            resolved(CONTRACT.pointer(path).context("a reference to nothing")?)
        }
    }
}

fn members(value: &'static Value) -> impl Iterator<Item = (&'static String, &'static Value)> {
    value.as_object().into_iter().flatten()
}

/// Whether a path is one of that template: `/v1/transactions/{token}:commit`.
fn matches(template: &str, path: &str) -> bool {
    let (wanted, given) = (template.split('/'), path.split('/'));
    wanted.clone().count() == given.clone().count()
        && wanted.zip(given).all(|(wanted, given)| {
            match wanted
                .strip_prefix('{')
                .and_then(|rest| rest.split_once('}'))
            {
                Some((_, "")) => true,
                Some((_, end)) => given.len() > end.len() && given.ends_with(end),
                None => wanted == given,
            }
        })
}

/// The operation that a request is for; `None` if it is for none.
fn operation(request: &Request) -> Option<(&'static str, &'static Value)> {
    let path = request.target.split('?').next()?;
    let (_, item) =
        members(CONTRACT.get("paths")?).find(|(template, _)| matches(template, path))?;
    let operation = item.get(request.method.to_lowercase())?;
    Some((operation.get("operationId")?.as_str()?, operation))
}

/// Checks an answer, and notes which documented one it is.
pub(crate) fn check(request: &Request, answer: &Answer) -> Result<()> {
    checked(request, answer).with_context(|| {
        format!(
            "{} {} is answered {answer:?}",
            request.method, request.target
        )
    })
}

fn checked(request: &Request, answer: &Answer) -> Result<()> {
    let Some((id, operation)) = operation(request) else {
        // A problem all the same, unless it is what HEAD or OPTIONS is answered.
        return match answer.status {
            200 | 204 => Ok(()),
            _ if request.method == "HEAD" => Ok(()),
            _ => check_problem(answer),
        };
    };
    let responses = operation.get("responses").context("no responses")?;
    let status = answer.status.to_string();
    let (name, response) = match responses.get(&status) {
        Some(response) => (status, response),
        None => {
            ensure!(answer.status >= 400, "a status that is not documented");
            let default = responses.get("default");
            (
                "default".to_owned(),
                default.context("a status that is not documented")?,
            )
        }
    };
    let response = resolved(response)?;
    let Some(content) = response.get("content") else {
        ensure!(answer.body.is_empty(), "a body that is not documented");
        SEEN.lock().insert(format!("{id} {name}"));
        return Ok(());
    };
    let kind = answer.header("content-type");
    let is_raw = kind == "application/json" && !answer.header("x-mq-message-id").is_empty();
    let own = content.get(kind).filter(|_| !is_raw);
    let (kind, media) = match own {
        Some(media) => (kind, media),
        None => (
            "*/*",
            content
                .get("*/*")
                .context("a content type that is not documented")?,
        ),
    };
    SEEN.lock().insert(format!("{id} {name} {kind}"));
    if kind.ends_with("json") {
        let schema = media.get("schema").context("no schema")?;
        valid(schema, &answer.json()?)?;
    }
    match kind {
        "application/problem+json" => check_problem(answer),
        _ => Ok(()),
    }
}

/// What holds of each problem beside its schema.
fn check_problem(answer: &Answer) -> Result<()> {
    ensure!(
        answer.header("content-type") == "application/problem+json",
        "no problem"
    );
    let problem = answer.json()?;
    valid(schema("Problem")?, &problem)?;
    ensure!(
        problem.get("status") == Some(&answer.status.into()),
        "another status"
    );
    let code = problem
        .get("code")
        .and_then(Value::as_str)
        .context("no code")?;
    let codes = schema("ProblemCode")?
        .get("description")
        .and_then(Value::as_str);
    let line = format!("- `{code}` ({})", answer.status);
    ensure!(
        codes.context("no codes")?.contains(&line),
        "an unknown code"
    );
    let after = problem.get("retryAfter").map(ToString::to_string);
    ensure!(
        after.unwrap_or_default() == answer.header("retry-after"),
        "another Retry-After"
    );
    Ok(())
}

/// The schema of that name.
pub(crate) fn schema(name: &str) -> Result<&'static Value> {
    let path = format!("/components/schemas/{name}");
    CONTRACT.pointer(&path).context("no such schema")
}

/// Whether the value is of the schema: the part of JSON Schema that the description uses.
///
/// # Errors
/// Why it is not.
pub(crate) fn valid(schema: &'static Value, value: &Value) -> Result<()> {
    const KNOWN: [&str; 15] = [
        "$ref",
        "additionalProperties",
        "default",
        "description",
        "enum",
        "example",
        "format",
        "items",
        "maxItems",
        "maximum",
        "minItems",
        "minimum",
        "oneOf",
        "properties",
        "required",
    ];
    let schema = resolved(schema)?;
    for (name, _) in members(schema) {
        ensure!(
            name == "type" || KNOWN.contains(&name.as_str()),
            "{name} is not checked"
        );
    }
    if let Some(all) = schema.get("oneOf").and_then(Value::as_array) {
        let fitting = all.iter().filter(|one| valid(one, value).is_ok()).count();
        ensure!(fitting == 1, "{value} fits {fitting} of the alternatives");
    }
    if let Some(all) = schema.get("enum").and_then(Value::as_array) {
        ensure!(all.contains(value), "{value} is none of {all:?}");
    }
    match (schema.get("type").and_then(Value::as_str), value) {
        (None, _) | (Some("boolean"), Value::Bool(_)) => Ok(()),
        (Some("string"), Value::String(text)) => match schema.get("format") {
            Some(format) if format == "date-time" => {
                let is_time = http_api::json::Stamp::parse(text).is_some();
                ensure!(is_time && text.ends_with('Z'), "{text} is no time");
                Ok(())
            }
            _ => Ok(()),
        },
        (Some("integer"), Value::Number(number)) => {
            let number = number.as_i64().context("no integer")?;
            let bound = |name: &str| schema.get(name).and_then(Value::as_i64);
            ensure!(
                bound("minimum").is_none_or(|least| number >= least),
                "{number}"
            );
            ensure!(
                bound("maximum").is_none_or(|most| number <= most),
                "{number}"
            );
            Ok(())
        }
        (Some("array"), Value::Array(items)) => {
            let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
            let count = items.len() as u64;
            ensure!(
                bound("maxItems").is_none_or(|most| count <= most),
                "{count} items"
            );
            ensure!(
                bound("minItems").is_none_or(|least| count >= least),
                "{count} items"
            );
            let of = schema.get("items").context("no items")?;
            items.iter().try_for_each(|item| valid(of, item))
        }
        (Some("object"), Value::Object(object)) => {
            let required = schema.get("required").and_then(Value::as_array);
            for name in required.into_iter().flatten().filter_map(Value::as_str) {
                ensure!(object.contains_key(name), "{value} has no {name}");
            }
            let properties = schema.get("properties");
            let others = schema.get("additionalProperties");
            for (name, member) in object {
                let own = properties.and_then(|all| all.get(name));
                match own.or(others.filter(|others| others.is_object())) {
                    Some(of) => valid(of, member).with_context(|| format!("the member {name}"))?,
                    None if properties.is_none() && others.is_none() => {}
                    None => bail!("{name} is not described"),
                }
            }
            Ok(())
        }
        (Some(kind), value) => bail!("{value} is no {kind}"),
    }
}

/// The documented answers that no test has seen.
pub(crate) fn missing() -> Vec<String> {
    let seen = SEEN.lock();
    let mut missing = Vec::new();
    for (_, item) in members(CONTRACT.get("paths").unwrap_or(&Value::Null)) {
        for (_, operation) in members(item).filter(|(method, _)| *method != "parameters") {
            let id = operation.get("operationId").and_then(Value::as_str);
            let id = id.unwrap_or_default();
            for (status, response) in members(operation.get("responses").unwrap_or(&Value::Null)) {
                let response = resolved(response).unwrap_or(&Value::Null);
                let mut kinds: Vec<_> = match response.get("content") {
                    Some(content) => members(content)
                        .map(|(kind, _)| format!("{id} {status} {kind}"))
                        .collect(),
                    None => vec![format!("{id} {status}")],
                };
                kinds.retain(|kind| !seen.contains(kind));
                missing.append(&mut kinds);
            }
        }
    }
    missing
}
