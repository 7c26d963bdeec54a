//! The least that a server on axum and SQLite can do: no collections, no rules, no validation, no change log, no
//! realtime. `floor PORT FILE` makes a table of 10,000 rows and answers
//! `GET /r/{id}` (one row by its key), `GET /l` (the first 30 rows) and `POST /r` (an insert, committed in groups).

use std::cell::RefCell;
use std::error::Error;
use std::sync::mpsc::{Receiver, Sender, channel};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use rusqlite::{Connection, Row};
use serde_json::Value;
use tokio::sync::oneshot;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Insert = (String, oneshot::Sender<String>);
type Outcome<T> = Result<T, Box<dyn Error>>;

const JSON: [(header::HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json")];
const GROUP_MAX: usize = 128;

thread_local! {
    static CONNECTION: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

fn open(file: &str) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16384")?;
    Ok(connection)
}

/// Reads on the calling thread, over a connection of its own.
fn read<T>(file: &str, f: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    CONNECTION.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Some(open(file)?);
        }
        slot.as_ref().map_or(Err(rusqlite::Error::InvalidQuery), f)
    })
}

fn write_row(row: &Row<'_>, out: &mut String) -> rusqlite::Result<()> {
    let text = |at: usize| -> rusqlite::Result<String> {
        Ok(Value::from(row.get_ref(at)?.as_str()?).to_string())
    };
    let (views, public): (f64, bool) = (row.get(3)?, row.get(4)?);
    out.push_str(&format!(
        r#"{{"id":{},"title":{},"body":{},"views":{views},"public":{public}}}"#,
        text(0)?,
        text(1)?,
        text(2)?
    ));
    Ok(())
}

fn fill(file: &str) -> rusqlite::Result<()> {
    let mut connection = open(file)?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS posts (id TEXT PRIMARY KEY, title TEXT, body TEXT, views NUMERIC, public BOOLEAN)",
    )?;
    let body = "lorem ipsum dolor sit amet ".repeat(8);
    let tx = connection.transaction()?;
    for n in 0..10_000 {
        let values = (format!("{n:015}"), format!("title {n}"), &body, f64::from(n), true);
        tx.execute("INSERT OR IGNORE INTO posts VALUES (?, ?, ?, ?, ?)", values)?;
    }
    tx.commit()
}

/// Commits what waits, as a group, and answers it.
fn write(file: &str, inserts: &Receiver<Insert>) -> rusqlite::Result<()> {
    let mut connection = open(file)?;
    let mut number = 0_u64;
    while let Ok(first) = inserts.recv() {
        let mut answers = Vec::new();
        let tx = connection.transaction()?;
        {
            let mut insert = tx.prepare_cached("INSERT INTO posts VALUES (?, ?, ?, ?, ?)")?;
            let mut next = Some(first);
            while let Some((body, to)) = next.take() {
                number += 1;
                let id = format!("{:x}{number:09x}", std::process::id());
                let value: Value = serde_json::from_str(&body).unwrap_or_default();
                insert.execute((
                    &id,
                    value["title"].as_str(),
                    value["body"].as_str(),
                    value["views"].as_f64(),
                    value["public"].as_bool(),
                ))?;
                answers.push((to, format!(r#"{{"id":"{id}",{}"#, body.get(1..).unwrap_or("}"))));
                if answers.len() < GROUP_MAX {
                    next = inserts.try_recv().ok();
                }
            }
        }
        tx.commit()?;
        for (to, answer) in answers {
            drop(to.send(answer));
        }
    }
    Ok(())
}

fn answer(result: rusqlite::Result<String>) -> impl IntoResponse {
    result.map(|body| (JSON, body)).map_err(|_| StatusCode::NOT_FOUND)
}

#[derive(Clone)]
struct App {
    file: &'static str,
    inserts: Sender<Insert>,
}

async fn view(State(app): State<App>, Path(id): Path<String>) -> impl IntoResponse {
    answer(read(app.file, |connection| {
        let mut out = String::with_capacity(512);
        connection
            .prepare_cached("SELECT * FROM posts WHERE id = ?")?
            .query_row([id], |row| write_row(row, &mut out))?;
        Ok(out)
    }))
}

async fn list(State(app): State<App>) -> impl IntoResponse {
    answer(read(app.file, |connection| {
        let mut out = String::with_capacity(16 << 10);
        out.push('[');
        let mut statement = connection.prepare_cached("SELECT * FROM posts LIMIT 30")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if out.len() > 1 {
                out.push(',');
            }
            write_row(row, &mut out)?;
        }
        out.push(']');
        Ok(out)
    }))
}

async fn create(State(app): State<App>, body: String) -> impl IntoResponse {
    let (to, made) = oneshot::channel();
    drop(app.inserts.send((body, to)));
    made.await.map(|body| (JSON, body)).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(port), Some(file)) = (arguments.next(), arguments.next()) else {
        return Err("usage: floor PORT FILE".into());
    };
    let file: &'static str = file.leak();
    fill(file)?;
    let (inserts, queue) = channel();
    std::thread::spawn(move || write(file, &queue).map_err(|error| error.to_string()));
    let app = Router::new()
        .route("/r/{id}", get(view))
        .route("/l", get(list))
        .route("/r", post(create))
        .with_state(App { file, inserts });
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port.parse::<u16>()?)).await?;
    axum::serve(listener, app).await?;
    Ok(())
}
