//! The least that a server on axum and tokio-postgres can do: no collections, no rules, no validation, no change log, no
//! realtime; 16 connections, each with one question at a time. `floor-postgres PORT ADDRESS` makes a table of 10,000 rows and
//! answers `GET /r/{id}` (one row by its key), `GET /l` (the first 30 rows) and `POST /r` (an insert).

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde_json::Value;
use tokio::sync::{Mutex, mpsc};
use tokio_postgres::{Client, NoTls, Row, Statement};

type Outcome<T> = Result<T, Box<dyn Error>>;

const JSON: [(header::HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json")];
const CONNECTIONS: usize = 16;

struct Connection {
    client: Client,
    view: Statement,
    list: Statement,
    insert: Statement,
}

struct App {
    free: Mutex<mpsc::Receiver<Connection>>,
    back: mpsc::Sender<Connection>,
    number: AtomicU64,
}

async fn connect(address: &str) -> Outcome<Client> {
    let (client, connection) = tokio_postgres::connect(address, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn fill(address: &str) -> Outcome<()> {
    let body = "lorem ipsum dolor sit amet ".repeat(8);
    let text = format!(
        "CREATE TABLE IF NOT EXISTS floor (id text PRIMARY KEY, title text, body text, views float8, public bool);
         INSERT INTO floor SELECT lpad(n::text, 15, '0'), 'title ' || n, '{body}', n, true FROM generate_series(0, 9999) n
         ON CONFLICT DO NOTHING; ANALYZE floor"
    );
    Ok(connect(address).await?.batch_execute(&text).await?)
}

fn write_row(row: &Row, out: &mut String) {
    let text = |at: usize| Value::from(row.get::<_, &str>(at)).to_string();
    let (views, public): (f64, bool) = (row.get(3), row.get(4));
    out.push_str(&format!(
        r#"{{"id":{},"title":{},"body":{},"views":{views},"public":{public}}}"#,
        text(0),
        text(1),
        text(2)
    ));
}

/// A connection in use, which comes back also when the request is given up.
struct Lease {
    connection: Option<Connection>,
    back: mpsc::Sender<Connection>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(self.back.try_send(connection));
        }
    }
}

impl App {
    async fn with<T>(&self, f: impl AsyncFnOnce(&Connection) -> Result<T, tokio_postgres::Error>) -> Result<T, StatusCode> {
        let connection = self.free.lock().await.recv().await;
        let lease = Lease {
            connection,
            back: self.back.clone(),
        };
        let connection = lease.connection.as_ref().ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
        f(connection).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
    }
}

async fn view(State(app): State<Arc<App>>, Path(id): Path<String>) -> impl IntoResponse {
    let row = app.with(async |on| on.client.query_opt(&on.view, &[&id]).await).await;
    let row = row.and_then(|row| row.ok_or(StatusCode::NOT_FOUND));
    row.map(|row| {
        let mut out = String::with_capacity(512);
        write_row(&row, &mut out);
        (JSON, out)
    })
}

async fn list(State(app): State<Arc<App>>) -> impl IntoResponse {
    let rows = app.with(async |on| on.client.query(&on.list, &[]).await).await;
    rows.map(|rows| {
        let mut out = String::with_capacity(16 << 10);
        out.push('[');
        for row in &rows {
            if out.len() > 1 {
                out.push(',');
            }
            write_row(row, &mut out);
        }
        out.push(']');
        (JSON, out)
    })
}

async fn create(State(app): State<Arc<App>>, body: String) -> impl IntoResponse {
    let number = app.number.fetch_add(1, Ordering::Relaxed);
    let id = format!("{:x}{number:09x}", std::process::id());
    let value: Value = serde_json::from_str(&body).unwrap_or_default();
    let made = app
        .with(async |on| {
            let (title, text) = (value["title"].as_str(), value["body"].as_str());
            let (views, public) = (value["views"].as_f64(), value["public"].as_bool());
            on.client.execute(&on.insert, &[&id, &title, &text, &views, &public]).await
        })
        .await;
    made.map(|_| (JSON, format!(r#"{{"id":"{id}",{}"#, body.get(1..).unwrap_or("}"))))
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(port), Some(address)) = (arguments.next(), arguments.next()) else {
        return Err("usage: floor-postgres PORT ADDRESS".into());
    };
    fill(&address).await?;
    let (back, free) = mpsc::channel(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let client = connect(&address).await?;
        let view = client.prepare("SELECT * FROM floor WHERE id = $1").await?;
        let list = client.prepare("SELECT * FROM floor LIMIT 30").await?;
        let insert = client.prepare("INSERT INTO floor VALUES ($1, $2, $3, $4, $5)").await?;
        back.send(Connection { client, view, list, insert }).await?;
    }
    let app = Router::new()
        .route("/r/{id}", get(view))
        .route("/l", get(list))
        .route("/r", post(create))
        .with_state(Arc::new(App {
            free: Mutex::new(free),
            back,
            number: AtomicU64::new(0),
        }));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port.parse::<u16>()?)).await?;
    axum::serve(listener, app).await?;
    Ok(())
}
