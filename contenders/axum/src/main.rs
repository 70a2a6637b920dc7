mod catalogue;
mod problem;
mod query;

use std::{env, future::IntoFuture, num::NonZeroUsize, path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
    serve::ListenerExt,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    time::sleep,
};

use crate::{catalogue::Catalogue, query::ProductQuery};

const GRACE_PERIOD: Duration = Duration::from_secs(4);

fn main() -> anyhow::Result<()> {
    let workers: NonZeroUsize = var("WORKERS")?.parse().context("WORKERS")?;

    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers.get())
        .enable_all()
        .build()?
        .block_on(serve())
}

async fn serve() -> anyhow::Result<()> {
    let (host, port) = (var("HOST")?, var("PORT")?.parse::<u16>().context("PORT")?);
    let catalogue = Catalogue::load(&Path::new(&var("DATA_DIR")?).join("products.json"))?;

    let app = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/products", get(list_products))
        .with_state(Arc::new(catalogue));

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stopping, stopped) = oneshot::channel();
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let _ = stopping.send(());
    };

    let listener = TcpListener::bind((host.as_str(), port))
        .await
        .with_context(|| format!("cannot listen on {host}:{port}"))?
        .tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                eprintln!("cannot set TCP_NODELAY: {error}");
            }
        });
    let server = axum::serve(listener, app).with_graceful_shutdown(stop);

    // Axum waits without limit for a client that sent half of a request.
    let deadline = async {
        let _ = stopped.await;
        sleep(GRACE_PERIOD).await;
    };
    tokio::select! {
        result = server.into_future() => result?,
        () = deadline => eprintln!("stopped with requests unfinished"),
    }
    Ok(())
}

async fn list_products(State(catalogue): State<Arc<Catalogue>>, query: ProductQuery) -> Response {
    // Made into a response here because the answer borrows from the catalogue.
    Json(catalogue.search(&query)).into_response()
}

fn var(name: &str) -> anyhow::Result<String> {
    env::var(name).context(name.to_owned())
}
