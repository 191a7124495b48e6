//! A few fixed pages on a loopback port, for tests of the harness itself.
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

/// What a page is asked with.
pub struct Asked {
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The `Cookie` field, perhaps empty.
    pub cookie: String,
    pub body: String,
}

/// What it answers: status line, further fields, HTML.
pub struct Reply {
    pub status: &'static str,
    pub fields: Vec<String>,
    pub html: String,
}

impl Reply {
    pub fn page(html: impl Into<String>) -> Self {
        Self { status: "200 OK", fields: vec![], html: html.into() }
    }

    pub fn redirect(to: &str) -> Self {
        Self { status: "303 See Other", fields: vec![format!("Location: {to}")], html: String::new() }
    }
}

/// Serves `answer` until the test process ends; gives the base URL, without a slash at its end.
pub fn serve(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("the port just bound").port();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            // A browser opens connections ahead of need: one that stays silent must not hold up the others.
            thread::spawn(move || exchange(stream, &*answer));
        }
    });
    format!("http://localhost:{port}")
}

fn exchange(mut stream: TcpStream, answer: &(impl Fn(&Asked) -> Reply + ?Sized)) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut length, mut cookie) = (0, String::new());
    loop {
        let mut field = String::new();
        reader.read_line(&mut field).ok()?;
        let Some((name, value)) = field.split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "cookie" => value.trim().clone_into(&mut cookie),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8_lossy(&body).into_owned();
    let Reply { status, fields, html } = answer(&Asked { method, path, cookie, body });
    let fields: String = fields.iter().map(|f| format!("{f}\r\n")).collect();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n",
        html.len()
    );
    stream.write_all(format!("{head}{fields}\r\n{html}").as_bytes()).ok()
}
