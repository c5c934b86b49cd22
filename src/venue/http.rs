//! HTTP/1.1 as far as a gateway needs it: a request as one run of bytes, and an answer read from however many pieces it
//! comes in. Heads are read by httparse.

use std::io::Write as _;

/// An answer's head, names and values together.
const HEAD_MAX: usize = 64 << 10;
/// No answer to an order, a cancel or a private read is larger.
const BODY_MAX: usize = 8 << 20;
const HEADERS_MAX: usize = 64;

/// Appends a whole request. `headers` go as they are; length and type are added where there is a body.
pub fn write_request(
    out: &mut Vec<u8>,
    method: &str,
    target: &str,
    host: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) {
    let _ = write!(out, "{method} {target} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n");
    for (name, value) in headers {
        let _ = write!(out, "{name}: {value}\r\n");
    }
    if let Some(body) = body {
        let _ = write!(out, "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        out.extend_from_slice(body);
    } else {
        out.extend_from_slice(b"\r\n");
    }
}

/// Why an answer cannot be read. The connection is of no use any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadAnswer {
    #[error("not an HTTP/1.1 answer")]
    Head,
    #[error("more than {HEAD_MAX} bytes of headers")]
    HeadTooLarge,
    #[error("more than {BODY_MAX} bytes")]
    TooLarge,
    #[error("its length is told twice, or in no way that we take")]
    Length,
    #[error("packed, which was not asked for")]
    Packed,
    #[error("bytes that nobody asked for")]
    Unasked,
}

/// A whole answer.
#[derive(Debug, Eq, PartialEq)]
pub struct Whole<'b> {
    pub status: u16,
    pub body: &'b mut [u8],
    /// The connection may carry another request.
    pub keeps: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Length {
    Exactly(usize),
    Chunked,
    /// Until the connection ends: such an answer is whole only then.
    UntilEnd,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Head {
    status: u16,
    length: Length,
    keeps: bool,
    /// Where the body begins.
    end: usize,
}

/// Gathers one answer at a time. Its memory is kept for the next one.
#[derive(Debug, Default)]
pub struct Reader {
    bytes: Vec<u8>,
    head: Option<Head>,
    /// A chunked body so far, in place behind the head: end of what is joined, start of what is not read.
    chunks: (usize, usize),
    whole: Option<usize>,
}

impl Reader {
    /// Forgets everything, for the next answer.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.head = None;
        self.chunks = (0, 0);
        self.whole = None;
    }

    /// Has anything come of an answer?
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes bytes in. `true` once the answer is whole.
    pub fn received(&mut self, bytes: &[u8]) -> Result<bool, BadAnswer> {
        if self.whole.is_some() && !bytes.is_empty() {
            return Err(BadAnswer::Unasked);
        }
        self.bytes.extend_from_slice(bytes);
        loop {
            let Some(head) = self.head else {
                if !self.read_head()? {
                    return Ok(false);
                }
                continue;
            };
            let have = self.bytes.len() - head.end;
            match head.length {
                Length::Exactly(len) => {
                    if len < have {
                        return Err(BadAnswer::Unasked);
                    }
                    self.whole = (len == have).then_some(head.end + len);
                }
                Length::Chunked => self.join(head)?,
                Length::UntilEnd if BODY_MAX < have => return Err(BadAnswer::TooLarge),
                Length::UntilEnd => {}
            }
            return Ok(self.whole.is_some());
        }
    }

    /// The connection has ended: that makes an answer whole whose length was not told.
    pub fn ended(&mut self) -> bool {
        if let Some(Head { length: Length::UntilEnd, .. }) = self.head {
            self.whole = Some(self.bytes.len());
        }
        self.whole.is_some()
    }

    /// The answer, once it is whole.
    pub fn answer(&mut self) -> Option<Whole<'_>> {
        let (head, end) = (self.head?, self.whole?);
        let keeps = head.keeps && head.length != Length::UntilEnd;
        Some(Whole { status: head.status, body: &mut self.bytes[head.end..end], keeps })
    }

    fn read_head(&mut self) -> Result<bool, BadAnswer> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let end = match response.parse(&self.bytes) {
            Ok(httparse::Status::Complete(end)) if end <= HEAD_MAX => end,
            Ok(httparse::Status::Partial) if self.bytes.len() <= HEAD_MAX => return Ok(false),
            Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(BadAnswer::HeadTooLarge),
            Err(_) => return Err(BadAnswer::Head),
        };
        let status = response.code.ok_or(BadAnswer::Head)?;
        let mut keeps = response.version == Some(1);
        let (mut told, mut chunked) = (None, false);
        for header in response.headers.iter() {
            let value = std::str::from_utf8(header.value).map_err(|_| BadAnswer::Head)?.trim();
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            if is("content-length") {
                let plain = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
                let len: usize = value.parse().ok().filter(|_| plain).ok_or(BadAnswer::Length)?;
                if told.replace(len).is_some() {
                    return Err(BadAnswer::Length);
                }
            } else if is("transfer-encoding") {
                if chunked || !value.eq_ignore_ascii_case("chunked") {
                    return Err(BadAnswer::Length);
                }
                chunked = true;
            } else if is("content-encoding") && !value.eq_ignore_ascii_case("identity") {
                return Err(BadAnswer::Packed);
            } else if is("connection") {
                keeps &= !value.split(',').any(|word| word.trim().eq_ignore_ascii_case("close"));
            }
        }
        let length = match (told, chunked) {
            (Some(_), true) => return Err(BadAnswer::Length),
            (Some(len), false) if BODY_MAX < len => return Err(BadAnswer::TooLarge),
            (Some(len), false) => Length::Exactly(len),
            (None, true) => Length::Chunked,
            (None, false) if matches!(status, 204 | 304) => Length::Exactly(0),
            (None, false) => Length::UntilEnd,
        };
        if (100..200).contains(&status) {
            // An interim answer: the real one follows.
            self.bytes.drain(..end);
            return if self.bytes.is_empty() { Ok(false) } else { self.read_head() };
        }
        self.head = Some(Head { status, length, keeps, end });
        self.chunks = (end, end);
        Ok(true)
    }

    /// Joins chunks in place, as far as they have come.
    fn join(&mut self, head: Head) -> Result<(), BadAnswer> {
        loop {
            let (joined, next) = self.chunks;
            match httparse::parse_chunk_size(&self.bytes[next..]) {
                Err(_) => return Err(BadAnswer::Length),
                Ok(httparse::Status::Partial) => {
                    return if 64 < self.bytes.len() - next { Err(BadAnswer::Length) } else { Ok(()) };
                }
                Ok(httparse::Status::Complete((line, 0))) => {
                    // No trailers: an empty line ends it.
                    let rest = &self.bytes[next + line..];
                    if rest.len() < 2 {
                        return Ok(());
                    }
                    if rest != b"\r\n" {
                        return Err(BadAnswer::Unasked);
                    }
                    self.whole = Some(joined);
                    return Ok(());
                }
                Ok(httparse::Status::Complete((line, len))) => {
                    let len = usize::try_from(len).ok().filter(|len| *len <= BODY_MAX).ok_or(BadAnswer::TooLarge)?;
                    if BODY_MAX < joined - head.end + len {
                        return Err(BadAnswer::TooLarge);
                    }
                    let start = next + line;
                    let Some(tail) = self.bytes.get(start + len..start + len + 2) else { return Ok(()) };
                    if tail != b"\r\n" {
                        return Err(BadAnswer::Length);
                    }
                    self.bytes.copy_within(start..start + len, joined);
                    self.chunks = (joined + len, start + len + 2);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &[u8] = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\nX: y\r\n\r\nhello";
    const CHUNKED: &[u8] =
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\n\r\n";

    fn read(pieces: &[&[u8]]) -> Result<Option<(u16, Vec<u8>, bool)>, BadAnswer> {
        let mut reader = Reader::default();
        for piece in pieces {
            reader.received(piece)?;
        }
        Ok(reader.answer().map(|whole| (whole.status, whole.body.to_vec(), whole.keeps)))
    }

    #[test]
    fn an_answer_is_the_same_however_it_is_cut() {
        for (bytes, status) in [(PLAIN, 201), (CHUNKED, 200)] {
            for first in 0..=bytes.len() {
                for second in first..=bytes.len() {
                    let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                    assert_eq!(read(&pieces), Ok(Some((status, b"hello".to_vec(), true))), "{first} {second}");
                }
                if first < bytes.len() {
                    assert_eq!(read(&[&bytes[..first]]), Ok(None), "cut at {first}");
                }
            }
        }
    }

    #[test]
    fn without_a_length_the_end_of_the_connection_is_the_end() {
        let mut reader = Reader::default();
        assert_eq!(reader.received(b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>"), Ok(false));
        assert!(reader.ended());
        let whole = reader.answer().unwrap();
        assert_eq!((whole.status, &*whole.body, whole.keeps), (502, &b"<html>"[..], false));
        let mut cut = Reader::default();
        assert_eq!(cut.received(&PLAIN[..PLAIN.len() - 1]), Ok(false));
        assert!(!cut.ended(), "an answer that told its length is not whole before it has come");
        assert_eq!(
            read(&[b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"]),
            Ok(Some((204, Vec::new(), false)))
        );
        assert_eq!(read(&[b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"]), Ok(Some((200, Vec::new(), false))));
    }

    #[test]
    fn hostile_answers_are_refused_by_name() {
        let with = |headers: &str| format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n");
        let many = "H: x\r\n".repeat(HEADERS_MAX + 1);
        for (text, why) in [
            ("SSH-2.0-OpenSSH\r\n".to_owned(), BadAnswer::Head),
            (with("Content-Length: 5\r\nContent-Length: 6"), BadAnswer::Length),
            (with("Content-Length: +5"), BadAnswer::Length),
            (with("Content-Length: 5\r\nTransfer-Encoding: chunked"), BadAnswer::Length),
            (with("Transfer-Encoding: gzip, chunked"), BadAnswer::Length),
            (with("Content-Length: 99999999999"), BadAnswer::TooLarge),
            (with("Content-Encoding: gzip\r\nContent-Length: 5"), BadAnswer::Packed),
            (format!("{}Z\r\n", with("Transfer-Encoding: chunked")), BadAnswer::Length),
            (format!("{}fffffff\r\n", with("Transfer-Encoding: chunked")), BadAnswer::TooLarge),
            (format!("{}{}", with("Content-Length: 1"), "ab"), BadAnswer::Unasked),
            (format!("{}0\r\nTrailer: x\r\n\r\n", with("Transfer-Encoding: chunked")), BadAnswer::Unasked),
            (with(&many), BadAnswer::HeadTooLarge),
            (format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(HEAD_MAX)), BadAnswer::HeadTooLarge),
        ] {
            assert_eq!(read(&[text.as_bytes()]), Err(why), "{}", &text[..text.len().min(80)]);
        }
        let mut reader = Reader::default();
        assert_eq!(reader.received(PLAIN), Ok(true));
        assert_eq!(reader.received(b"x"), Err(BadAnswer::Unasked));
        reader.clear();
        assert_eq!(reader.received(PLAIN), Ok(true), "memory is kept, nothing else");
    }

    #[test]
    fn a_request_is_one_run_of_bytes() {
        let mut out = Vec::new();
        write_request(&mut out, "POST", "/order?a=b", "clob.example", &[("POLY_ADDRESS", "0x1")], Some(b"{}"));
        let text = "POST /order?a=b HTTP/1.1\r\nHost: clob.example\r\nAccept: application/json\r\nPOLY_ADDRESS: 0x1\r\n\
                    Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }
}
