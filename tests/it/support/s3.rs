//! A real S3 server in this process, on loopback: it keeps objects in a folder, and checks signatures and their time. A
//! test may have it fail, or end it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use burrow::kit::id;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use s3s::Body;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const KEY: &str = "AKIAEXAMPLE";
const SECRET: &str = "not-told-to-anybody";

/// The server. It ends, and its objects go, with the value.
pub struct S3Server {
    root: PathBuf,
    address: SocketAddr,
    state: Arc<State>,
    runtime: Option<Runtime>,
}

#[derive(Default)]
struct State {
    requests: AtomicUsize,
    broken: AtomicBool,
}

impl S3Server {
    /// A server with the empty buckets `files` and `backups`.
    pub fn start() -> Self {
        let root = std::env::temp_dir().join(format!("burrow-s3-{}", id::record_id()));
        for bucket in ["files", "backups"] {
            std::fs::create_dir_all(root.join(bucket)).unwrap();
        }
        let mut builder = S3ServiceBuilder::new(FileSystem::new(&root).unwrap());
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = builder.build();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (service, state) = (service.clone(), Arc::clone(&shared));
                let answer = service_fn(move |request| {
                    let (service, state) = (service.clone(), Arc::clone(&state));
                    async move {
                        state.requests.fetch_add(1, Ordering::Relaxed);
                        if state.broken.load(Ordering::Relaxed) {
                            return Ok::<_, Infallible>(refused());
                        }
                        let answer = hyper::service::Service::call(&service, request).await;
                        Ok(answer.unwrap_or_else(|_| refused()))
                    }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), answer);
                tokio::spawn(connection);
            }
        });
        Self {
            root,
            address,
            state,
            runtime: Some(runtime),
        }
    }

    /// What settings say of one of its buckets.
    pub fn bucket(&self, name: &str) -> Json {
        json!({
            "enabled": true, "bucket": name, "region": "us-east-1", "endpoint": self.endpoint(),
            "accessKey": KEY, "secret": SECRET, "forcePathStyle": true,
        })
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Keys of the objects in a bucket, in order.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let root = self.root.join(bucket);
        let mut keys = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let inside = path.strip_prefix(&root).unwrap();
                    keys.push(inside.to_string_lossy().into_owned());
                }
            }
        }
        keys.sort();
        keys
    }

    /// The file that holds an object.
    pub fn path(&self, bucket: &str, key: &str) -> PathBuf {
        self.root.join(bucket).join(key)
    }

    /// Requests until now.
    pub fn requests(&self) -> usize {
        self.state.requests.load(Ordering::Relaxed)
    }

    /// Answers everything with 503, or not any more.
    pub fn break_down(&self, broken: bool) {
        self.state.broken.store(broken, Ordering::Relaxed);
    }

    /// Nobody listens any more.
    pub fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn refused() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.end();
        drop(std::fs::remove_dir_all(&self.root));
    }
}
