//! Shipping as the flags want it.

use std::path::Path;

use super::console::Failure;
use crate::app::App;
use crate::bucket::Bucket;
use crate::config::ShipTo;
use crate::ops::settings::S3;
use crate::ops::ship::{Place, Shipper, Shipping};
use crate::outbound::Pool;

/// Ships what is written, where that is wanted.
pub(super) fn start(app: &App) -> Result<Option<Shipper>, Failure> {
    let Some(ship) = &app.config.ship else {
        return Ok(None);
    };
    let has_gone = app.config.database.is_none() && app.config.database_file.is_none();
    if has_gone && !app.store.is_embedded() {
        tracing::warn!("--ship-to ships nothing: the data is in PostgreSQL, which has its own way");
        return Ok(None);
    }
    let place = match &ship.to {
        ShipTo::Folder(folder) => Place::Folder(outside(folder, &app.config.dir)?.to_owned()),
        ShipTo::S3 => bucket(&app.settings.current().backups.s3)?,
    };
    let shipping = Shipping {
        place,
        keep: ship.keep,
        scratch: app.files.spool().to_owned(),
        clock: app.clock.clone(),
    };
    let shipper = Shipper::start(&app.store, shipping, &app.shipping);
    let shipper = shipper.map_err(|error| Failure::message(format!("cannot ship: {error}")))?;
    Ok(Some(shipper))
}

/// The bucket of backups as a place. Who ships has a runtime of its own, and so its own connections.
pub(super) fn bucket(known: &S3) -> Result<Place, Failure> {
    if known.endpoint.is_empty() || known.bucket.is_empty() {
        return Err(Failure::message(
            "--ship-to s3 needs the bucket of backups: set backups.s3 (it need not be enabled), or BURROW_BACKUPS_S3_ENDPOINT, \
             _BUCKET, _REGION, _ACCESS_KEY and _SECRET",
        ));
    }
    Ok(Place::Bucket(Bucket::new(&Pool::new(), &known.options())))
}

/// A folder that is no part of the state that is shipped, backed up and restored.
fn outside<'a>(folder: &'a Path, dir: &Path) -> Result<&'a Path, Failure> {
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if whole(folder).starts_with(whole(dir)) {
        return Err(Failure::message(
            "--ship-to must not lie in the data directory: it would be lost with it",
        ));
    }
    Ok(folder)
}
