//! A gateway's call as the venue's server reads it.

#![allow(dead_code, reason = "each test file uses its own part of it")]

/// Method, path, query, headers, body.
pub struct Read {
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Read {
    /// Reads a whole request; anything that is not one ends the test.
    pub fn new(bytes: &[u8]) -> Self {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(end) = request.parse(bytes).unwrap() else { panic!("a request in part") };
        let target = request.path.unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pairs = query.split('&').filter_map(|part| part.split_once('='));
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
        let read = Self {
            method: request.method.unwrap().to_owned(),
            path: path.to_owned(),
            query: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            headers: request.headers.iter().map(|h| (h.name.to_owned(), text(h.value))).collect(),
            body: bytes[end..].to_vec(),
        };
        let told = read.header("content-length").map_or(0, |len| len.parse::<usize>().unwrap());
        assert_eq!(told, read.body.len(), "the length that the request tells");
        read
    }

    /// A header by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// A query's value without its escapes.
pub fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let digits = [rest.next().unwrap(), rest.next().unwrap()];
            u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
        } else {
            byte
        });
    }
    String::from_utf8(bytes).unwrap()
}
