//! Rows that are one request each.

use crate::support::{Person, Reply, Request, TestApp};

/// What must come back.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    /// This status.
    Is(u16),
    /// One of these: the contract leaves it open, and neither does harm.
    OneOf(&'static [u16]),
    /// A page with this many records in all.
    Total(u64),
    /// Status 400 and this code at this path of keys.
    Code(&'static str, &'static str),
}

use Answer::{Code, Is, OneOf, Total};

/// One row.
pub(super) struct Row<'a> {
    label: &'static str,
    what: String,
    who: &'a Person,
    request: Request,
    answer: Answer,
}

/// A row: its case, what is tried, by whom, and what must come back.
pub(super) fn row<'a>(
    label: &'static str,
    what: impl Into<String>,
    who: &'a Person,
    request: Request,
    answer: Answer,
) -> Row<'a> {
    Row {
        label,
        what: what.into(),
        who,
        request,
        answer,
    }
}

/// A GET.
pub(super) fn get(path: &str) -> Request {
    Request::new("GET", path)
}

/// A POST of JSON.
pub(super) fn post(path: &str, body: &serde_json::Value) -> Request {
    Request::new("POST", path).json(body)
}

/// A PATCH of JSON.
pub(super) fn patch(path: &str, body: &serde_json::Value) -> Request {
    Request::new("PATCH", path).json(body)
}

/// Every byte that is not plain, in the form that a query may hold.
pub(super) fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// A list under a filter.
pub(super) fn filtered(collection: &str, filter: &str) -> Request {
    get(&format!(
        "/api/collections/{collection}/records?filter={}",
        escape(filter)
    ))
}

/// Sends every row, in order, and fails with all that came back otherwise. Nothing may end in a 500, and the server
/// must be well afterwards.
#[track_caller]
pub(super) fn hold(t: &TestApp, rows: Vec<Row<'_>>) {
    let mut wrong = Vec::new();
    for row in rows {
        let reply = row.who.send(row.request);
        if let Err(reason) = judge(&reply, row.answer) {
            let text: String = reply.text().chars().take(300).collect();
            wrong.push(format!(
                "{} {}: {reason}: {} {text}",
                row.label, row.what, reply.status
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(t.guest().get("/api/health").status, 200);
}

fn judge(reply: &Reply, answer: Answer) -> Result<(), String> {
    let expect = |held: bool, what: String| if held { Ok(()) } else { Err(what) };
    match answer {
        Is(status) => expect(reply.status == status, format!("not {status}")),
        OneOf(statuses) => expect(
            statuses.contains(&reply.status),
            format!("none of {statuses:?}"),
        ),
        Total(total) => expect(
            reply.status == 200 && reply.json()["totalItems"] == total,
            format!("not {total} records"),
        ),
        Code(path, code) => {
            if reply.status != 400 {
                return Err("not 400".to_owned());
            }
            let json = reply.json();
            let leaf = path.split('.').fold(&json["data"], |node, key| &node[key]);
            expect(leaf["code"] == code, format!("no {code} at {path}"))
        }
    }
}
