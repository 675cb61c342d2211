//! The decoders of real brokers, in a virtual machine of their own.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufReader, BufWriter, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use integration_tests::process::mortal;
use integration_tests::workspace::{crate_dir, target_dir};

/// The newest one first: a header that it accepts, Remora must accept.
pub(crate) const VERSIONS: [&str; 3] = ["5.5.0", "5.3.3", "4.9.8"];

/// What a reader makes of a frame.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Reading {
    pub(crate) code: i32,
    pub(crate) flag: i32,
    pub(crate) opaque: i32,
    pub(crate) version: i32,
    /// −1 when there is none that it knows.
    pub(crate) language: i32,
    /// Empty when there is none.
    pub(crate) remark: String,
    /// Those that have a name and a value; half a surrogate pair is U+FFFD.
    pub(crate) ext_fields: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// A frame without its length field, and how many of the [`VERSIONS`], from the first on, read it.
pub(crate) type Question = (Vec<u8>, usize);

#[derive(Debug)]
pub(crate) struct Brokers {
    machine: Child,
    questions: Option<SyncSender<Vec<Question>>>,
    answers: BufReader<ChildStdout>,
}

impl Brokers {
    pub(crate) fn start() -> Result<Self> {
        let out = target_dir().join("java");
        let script = crate_dir().join("scripts/build-judge.sh");
        let built = Command::new(&script).arg(&out).args(VERSIONS).status();
        ensure!(
            built.context("cannot run build-judge.sh")?.success(),
            "build-judge.sh failed"
        );
        let mut java = mortal("java");
        java.args([
            "-Xmx256m",
            "-XX:+UseSerialGC",
            "-XX:-UsePerfData",
            "-XX:-StackTraceInThrowable",
        ])
        .arg(format!("-Duser.home={}", out.display()))
        .arg("-cp")
        .arg(out.join("judge"))
        .arg("Judge");
        for version in VERSIONS {
            java.arg(fs::read_to_string(
                out.join(format!("judge-{version}.classpath")),
            )?);
        }
        let mut machine = java.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = machine.stdin.take().context("a standard input")?;
        let answers = BufReader::new(machine.stdout.take().context("a standard output")?);
        let (questions, batches) = sync_channel::<Vec<Question>>(1);
        // It may wait for us to read.
        thread::spawn(move || {
            let mut input = BufWriter::new(input);
            for batch in batches {
                if write(&batch, &mut input).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            machine,
            questions: Some(questions),
            answers,
        })
    }

    /// Asks; what is asked must be read by [`answer`](Self::answer), in the same order.
    pub(crate) fn ask(&self, batch: Vec<Question>) -> Result<()> {
        let questions = self.questions.as_ref().context("not ended")?;
        questions
            .send(batch)
            .context("the virtual machine has ended")
    }

    /// The next answer, of the first version or of the next.
    pub(crate) fn answer(&mut self) -> Result<Option<Reading>> {
        match self.array::<1>()? {
            [0] => return Ok(None),
            [1] => {}
            [other] => bail!("{other} where an answer starts"),
        }
        Ok(Some(Reading {
            code: self.int()?,
            flag: self.int()?,
            opaque: self.int()?,
            version: self.int()?,
            language: self.int()?,
            remark: self.text()?.unwrap_or_default(),
            ext_fields: self.ext_fields()?,
            body: self.bytes()?.unwrap_or_default(),
        }))
    }

    fn ext_fields(&mut self) -> Result<BTreeMap<String, String>> {
        let mut fields = BTreeMap::new();
        for _ in 0..self.int()?.max(0) {
            if let (Some(key), Some(value)) = (self.text()?, self.text()?) {
                fields.insert(key, value);
            }
        }
        Ok(fields)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        self.answers
            .read_exact(&mut array)
            .context("the virtual machine has ended")?;
        Ok(array)
    }

    fn int(&mut self) -> Result<i32> {
        self.array().map(i32::from_be_bytes)
    }

    fn bytes(&mut self) -> Result<Option<Vec<u8>>> {
        let Ok(length) = usize::try_from(self.int()?) else {
            return Ok(None);
        };
        let mut bytes = vec![0; length];
        self.answers.read_exact(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn text(&mut self) -> Result<Option<String>> {
        let bytes = self.bytes()?;
        Ok(bytes.map(|bytes| {
            let units = bytes
                .chunks_exact(2)
                .map(|unit| u16::from_be_bytes([unit[0], unit[1]]));
            char::decode_utf16(units)
                .map(|c| c.unwrap_or('\u{fffd}'))
                .collect()
        }))
    }
}

impl Drop for Brokers {
    fn drop(&mut self) {
        self.questions = None;
        let _ = self.machine.kill();
        let _ = self.machine.wait();
    }
}

fn write(batch: &[Question], out: &mut impl Write) -> std::io::Result<()> {
    out.write_all(&(batch.len() as i32).to_be_bytes())?;
    for (frame, versions) in batch {
        out.write_all(&(*versions as i32).to_be_bytes())?;
        out.write_all(&(frame.len() as i32).to_be_bytes())?;
        out.write_all(frame)?;
    }
    out.flush()
}
