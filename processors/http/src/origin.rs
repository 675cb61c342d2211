//! Requests that a web page makes a browser send (Fetch Standard, "CORS protocol").
//!
//! A page of any origin can make a browser send some requests without asking first, and thus reach
//! what only the browser's user can reach. So a request that a browser marks as from another origin
//! is refused, unless the operator has allowed that origin.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};

use crate::json::{Problem, Word};

/// By which newer browsers mark requests for which they send no origin.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// For how many seconds a browser need not ask again.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Any header of the answer may be read.
const ANY: HeaderValue = HeaderValue::from_static("*");

/// The origin of a request, if it is allowed; `None` if no page has sent it.
///
/// # Errors
/// [`Word::Forbidden`] if it is not allowed.
pub(crate) fn check<'a>(
    headers: &'a HeaderMap,
    allowed: &[String],
) -> Result<Option<&'a HeaderValue>, Problem> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let is_allowed = |origin: &HeaderValue| {
        let mut allowed = allowed.iter();
        allowed.any(|allowed| allowed == "*" || allowed.as_bytes() == origin.as_bytes())
    };
    let site = headers.get(FETCH_SITE).map(HeaderValue::as_bytes);
    match (origins.next(), origins.next()) {
        (Some(origin), None) if is_allowed(origin) => return Ok(Some(origin)),
        (None, _) if !matches!(site, Some(b"cross-site" | b"same-site")) => return Ok(None),
        _ => {}
    }
    let detail = "a web page of another origin must not send requests here: allow its origin in \
                  http.cors";
    Err(Problem::new(Word::Forbidden, detail).of("header origin"))
}

/// Lets the page of that origin read the answer.
pub(crate) fn allow(origin: &HeaderValue, answer: &mut HeaderMap) {
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, ANY);
    answer.append(VARY, HeaderValue::from_static("origin"));
}

/// Answers the question of a browser whether a page may send a request with these methods.
pub(crate) fn preflight(request: &HeaderMap, methods: HeaderValue, answer: &mut HeaderMap) {
    answer.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    if let Some(wanted) = request.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    answer.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(pairs: &[(&'static str, &'static str)], allowed: &[&str]) -> Option<bool> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let allowed: Vec<_> = allowed.iter().map(|origin| (*origin).to_owned()).collect();
        let checked = check(&headers, &allowed);
        checked.ok().map(|origin| origin.is_some())
    }

    #[test]
    fn origins_are_allowed_by_name() {
        let (a, b) = (
            ("origin", "https://a.example"),
            ("origin", "https://b.example"),
        );
        let site = |text| ("sec-fetch-site", text);
        for (pairs, allowed, expected) in [
            (&[][..], &[][..], Some(false)),
            (&[a], &[], None),
            (&[a], &["https://a.example"], Some(true)),
            (&[a], &["*"], Some(true)),
            (&[b], &["https://a.example"], None),
            (&[a, b], &["*"], None),
            (&[("origin", "null")], &["https://a.example"], None),
            (&[site("cross-site")], &["*"], None),
            (&[site("same-site")], &[], None),
            (&[site("same-origin")], &[], Some(false)),
            (&[site("none")], &[], Some(false)),
            (&[site("cross-site"), a], &["https://a.example"], Some(true)),
        ] {
            assert_eq!(checked(pairs, allowed), expected, "{pairs:?} {allowed:?}");
        }
    }
}
