//! What a node of a cluster says about who has which slot.
use ::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, Pipeline, RedisError, Value, cmd,
};

use super::errors::{corrupt_reply, error_or_lack, store_error};
use crate::store::StoreError;

/// Host and port.
pub(super) type Address = (String, u16);

/// One node's view.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct View {
    /// Grows with every change of who has what.
    pub epoch: u64,
    /// First and last slot, and their primary.
    pub ranges: Vec<(u16, u16, Address)>,
}

/// Host and port of what is reached by them.
pub(super) fn address(info: &ConnectionInfo) -> Option<Address> {
    match info.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            Some((host.clone(), *port))
        }
        _ => None,
    }
}

/// Asks one node on a connection of its own.
pub(super) async fn ask(info: ConnectionInfo) -> Result<View, StoreError> {
    let by_path = || StoreError::Unavailable("a cluster is reached by host and port".into());
    let (host, _) = address(&info).ok_or_else(by_path)?;
    let client = Client::open(info).map_err(|error| store_error(&error))?;
    let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    let connection = client.get_multiplexed_async_connection_with_config(&config).await;
    let mut connection = connection.map_err(|error| store_error(&error))?;
    let mut pipeline = Pipeline::with_capacity(2);
    for question in ["INFO", "SLOTS"] {
        let mut command = cmd("CLUSTER");
        command.arg(question);
        pipeline.add_command(command);
    }
    pipeline.ignore_errors();
    let answers = pipeline.query_async::<Vec<Result<Value, RedisError>>>(&mut connection).await;
    let answers = answers.map_err(|error| store_error(&error))?;
    let [info, slots] = <[_; 2]>::try_from(answers).map_err(|_| corrupt_reply())?;
    let needed = |error| error_or_lack(&error, "+cluster|info +cluster|slots");
    let (info, slots) = (info.map_err(needed)?, slots.map_err(needed)?);
    view(&text(info)?, slots, &host)
}

/// `host` is where the node was asked: its own address where it does not know one.
fn view(info: &str, slots: Value, host: &str) -> Result<View, StoreError> {
    let field =
        |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    if field("cluster_state") != Some("ok") {
        return Err(StoreError::Unavailable("the cluster is down, as one of its nodes says".into()));
    }
    let epoch =
        field("cluster_current_epoch").and_then(|epoch| epoch.parse().ok()).ok_or_else(corrupt_reply)?;
    let Value::Array(ranges) = slots else { return Err(corrupt_reply()) };
    let ranges = ranges.into_iter().map(|each| range(each, host)).collect::<Result<_, _>>()?;
    Ok(View { epoch, ranges })
}

/// `[first, last, [host, port, ...], replicas...]`
fn range(range: Value, asked: &str) -> Result<(u16, u16, Address), StoreError> {
    let Value::Array(parts) = range else { return Err(corrupt_reply()) };
    let mut parts = parts.into_iter();
    let mut next = || parts.next().ok_or_else(corrupt_reply);
    let (first, last) = (number(next()?)?, number(next()?)?);
    let Value::Array(primary) = next()? else { return Err(corrupt_reply()) };
    let mut primary = primary.into_iter();
    let host = match primary.next().ok_or_else(corrupt_reply)? {
        Value::Nil => asked.to_owned(),
        host => match text(host)? {
            host if host.is_empty() || host == "?" => asked.to_owned(),
            host => host,
        },
    };
    let port = number(primary.next().ok_or_else(corrupt_reply)?)?;
    Ok((first, last, (host, port)))
}

fn number(value: Value) -> Result<u16, StoreError> {
    match value {
        Value::Int(number) => u16::try_from(number).map_err(|_| corrupt_reply()),
        _ => Err(corrupt_reply()),
    }
}

fn text(value: Value) -> Result<String, StoreError> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).map_err(|_| corrupt_reply()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Ok(text),
        _ => Err(corrupt_reply()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_node(host: Value, port: i64) -> Value {
        Value::Array(vec![host, Value::Int(port), Value::BulkString(b"id".to_vec())])
    }

    fn of_range(first: i64, last: i64, primary: Value) -> Value {
        Value::Array(vec![Value::Int(first), Value::Int(last), primary, of_node(Value::Nil, 9)])
    }

    #[test]
    fn slots_are_read() {
        let named = of_node(Value::BulkString(b"10.0.0.1".to_vec()), 7_000);
        let slots =
            Value::Array(vec![of_range(0, 99, named), of_range(100, 16_383, of_node(Value::Nil, 7_001))]);
        let info = "cluster_state:ok\r\ncluster_current_epoch:6\r\n";
        let expected =
            vec![(0, 99, ("10.0.0.1".to_owned(), 7_000)), (100, 16_383, ("asked".to_owned(), 7_001))];
        assert_eq!(view(info, slots, "asked").unwrap(), View { epoch: 6, ranges: expected });
    }

    #[test]
    fn what_cannot_be_relied_on_is_refused() {
        let ok = "cluster_state:ok\r\ncluster_current_epoch:6\r\n";
        for info in ["", "cluster_state:fail\r\ncluster_current_epoch:6\r\n", "cluster_state:ok\r\n"] {
            assert!(view(info, Value::Array(vec![]), "h").is_err(), "{info}");
        }
        let port = of_node(Value::BulkString(b"h".to_vec()), 65_536);
        for slots in [Value::Nil, Value::Array(vec![Value::Nil]), Value::Array(vec![of_range(0, 1, port)])] {
            assert!(view(ok, slots, "h").is_err());
        }
    }
}
