//! Whether the gateway has a host of its own: scripts of an application may do whatever their reader may do on the same host.
use super::{reader::Reader, route::Routes, server::Ground};
use crate::edge;

const PATH: &str = "api.own_host";

/// The host that is the gateway's alone, if there is to be one.
pub fn read(reader: &mut Reader, ground: &Ground) -> Option<String> {
    reader.switch(PATH).then(|| ground.authority())
}

/// Refuses routes on it.
pub fn check(reader: &mut Reader, edge: &edge::Settings, routes: &Routes) {
    let Some(own) = &edge.own_host else { return };
    for (route, place) in routes.placed().filter(|(route, _)| route.host == *own) {
        let what = format!("route.{}.host", route.name);
        let why = format!("is {own}, which {PATH} keeps for the gateway alone");
        reader.fault(place, &what, why, "give the route a host of its own, or remove api.own_host");
    }
}
