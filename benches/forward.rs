//! Proxied requests per second and CPU time per request: our gate with a session beside Debian's nginx as a bare proxy.
//!
//! Both stand before the same origin server (an nginx with one worker and 1 KiB to say), both with two workers and
//! kept-alive origin connections, without access log. `wrk` loads them in turn. Needs `nginx` and `wrk`; run with
//! `cargo bench --bench forward`. `FORWARD_SECONDS`, `FORWARD_ROUNDS` and `FORWARD_CONNECTIONS` change the load.
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

#[allow(dead_code)]
#[path = "../tests/it/gate_rig.rs"]
mod gate_rig;

use gate_rig::{Sessions, active_session, gate, protected, route};
use portcullis::{
    domain::SessionToken,
    edge::{cookies::SESSION as SESSION_COOKIE, listener, worker::Gates},
};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WORKERS: usize = 2;
const START_SECONDS_MAX: u64 = 10;
/// `/proc/PID/stat` counts in these; `sysconf(_SC_CLK_TCK)` is 100 on every Linux that Debian builds.
const TICKS_PER_SECOND: f64 = 100.0;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.iter().position(|a| a == "--gateway").and_then(|i| args.get(i + 1)) {
        Some(origin) => run_gateway(origin.parse().unwrap()),
        None => compare(),
    }
}

fn token() -> SessionToken {
    SessionToken::from_random([7; 32])
}

/// The child process: prints its address and serves until its standard input ends.
fn run_gateway(origin: SocketAddr) {
    let mut active = active_session("acme", &token());
    active.session.groups = (0..5).map(|i| format!("group-{i}")).collect();
    let sessions = Sessions::of([active]);
    let gate = gate(vec![route("app", "/", origin, protected(&["sales"]))], sessions, WORKERS);
    let listeners = listener::bind(&gate.settings).unwrap();
    println!("{}", listeners.local_addr());
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let workers = listeners.serve(&Arc::new(Gates::new(gate)), &stopped).unwrap();
    let _ = std::io::stdin().read_to_end(&mut vec![]);
    stop.send_replace(true);
    workers.join();
}

/// A server under load, ended with the benchmark.
struct Server {
    name: &'static str,
    child: Child,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        // The name of no other process is touched: this one child, which ends its own workers.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

#[derive(Clone, Copy)]
struct Run {
    per_second: f64,
    cpu_micros: f64,
}

fn compare() {
    let number =
        |name: &str, default| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default);
    let (seconds, rounds) = (number("FORWARD_SECONDS", 5u64), number("FORWARD_ROUNDS", 3));
    let connections = number("FORWARD_CONNECTIONS", 64);
    let folder = tempfile::tempdir().unwrap();
    let origin = nginx(folder.path(), "origin", ORIGIN, "");
    let upstream = format!("upstream origin {{ server {}; keepalive 64; }}", origin.address);
    let servers = [nginx(folder.path(), "nginx", PROXY, &upstream), portcullis(origin.address)];
    for server in &servers {
        load(server, 1, connections);
    }
    let mut runs: [Vec<Run>; 2] = Default::default();
    println!("{:<12} {:>12} {:>16}", "server", "requests/s", "CPU us/request");
    for _ in 0..rounds {
        for (server, runs) in servers.iter().zip(&mut runs) {
            let run = load(server, seconds, connections);
            println!("{:<12} {:>12.0} {:>16.2}", server.name, run.per_second, run.cpu_micros);
            runs.push(run);
        }
    }
    let median = |runs: &[Run], of: fn(&Run) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let ratio = |of| median(&runs[1], of) / median(&runs[0], of);
    println!("throughput: {:.2} of nginx", ratio(|run| run.per_second));
    println!("CPU per request: {:.2} of nginx", ratio(|run| run.cpu_micros));
}

/// One run of `wrk`; checks one response first.
fn load(server: &Server, seconds: u64, connections: u64) -> Run {
    let cookie = format!("Cookie: theme=dark; {SESSION_COOKIE}={}", token().expose());
    let mut probe = TcpStream::connect(server.address).unwrap();
    write!(probe, "GET /page?x=1 HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n{cookie}\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    probe.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (before, start) = (cpu_seconds(&server.child), Instant::now());
    let output = Command::new("wrk")
        .args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s")])
        .args(["-H", "Host: app.example.com", "-H", &cookie])
        .args(["-H", "Accept: text/html", "-H", "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101"])
        .arg(format!("http://{}/page?x=1", server.address))
        .output()
        .unwrap();
    let (cpu, wall) = (cpu_seconds(&server.child) - before, start.elapsed().as_secs_f64());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("Non-2xx"), "{text}");
    let line = text.lines().find(|line| line.contains(" requests in ")).expect("wrk's summary");
    let requests: f64 = line.split_whitespace().next().unwrap().parse().unwrap();
    Run { per_second: requests / wall, cpu_micros: cpu * 1e6 / requests }
}

/// User and system time of a process and its children, in seconds.
fn cpu_seconds(child: &Child) -> f64 {
    let of = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name in parentheses may hold spaces; fields 14 and 15 follow it as the 12th and 13th.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>()
    };
    let id = child.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let children: f64 = children.split_whitespace().filter_map(|pid| pid.parse().ok()).map(of).sum();
    (of(id) + children) / TICKS_PER_SECOND
}

fn portcullis(origin: SocketAddr) -> Server {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--gateway", &origin.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    Server { name: "portcullis", child, address: line.trim().parse().unwrap() }
}

const ORIGIN: &str = "worker_processes 1;
    events { worker_connections 4096; }
    http { access_log off; keepalive_requests 1000000000; %EXTRA%
      server { listen %ADDRESS%; default_type text/html; location / { return 200 '%BODY%'; } } }";

const PROXY: &str = "worker_processes 2;
    events { worker_connections 4096; }
    http { access_log off; keepalive_requests 1000000000; %EXTRA%
      server { listen %ADDRESS% reuseport; location / {
        proxy_pass http://origin; proxy_http_version 1.1;
        proxy_set_header Connection ''; proxy_set_header Host $host; } } }";

fn nginx(folder: &Path, name: &'static str, config: &str, extra: &str) -> Server {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = config
        .replace("%ADDRESS%", &address.to_string())
        .replace("%BODY%", &"x".repeat(1024))
        .replace("%EXTRA%", extra);
    let home = folder.join(name);
    fs::create_dir_all(&home).unwrap();
    let file = home.join("nginx.conf");
    let head = "daemon off; pid nginx.pid; error_log stderr crit;\n";
    fs::write(&file, format!("{head}{config}")).unwrap();
    let child = Command::new("nginx").arg("-p").arg(&home).arg("-c").arg(&file).spawn().expect("nginx");
    let start = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(start.elapsed() < Duration::from_secs(START_SECONDS_MAX), "nginx does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    Server { name, child, address }
}
