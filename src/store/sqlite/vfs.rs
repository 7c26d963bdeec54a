//! The layer between SQLite and the system's files, and the only unsafe code of the product: SQLite takes such a layer as
//! C structures only. It hands every call on to the system's own layer, with three additions.
//!
//! - The write-ahead log gets what one commit appends in one write. SQLite writes the header and the page of each frame
//!   apart, eight system calls for a small commit; here frames are held until the one that commits, which is marked in
//!   its header, or until there are [`HELD_BYTES_MAX`] of them. SQLite shows frames to other connections only after the write of
//!   that last one has succeeded, so that nobody looks for what is held; this connection's own reads, syncs and the like
//!   write what is held first. A write that fails is told at the commit.
//! - What has reached a log that is shipped is told to its [`Tap`].
//! - A test may put a [`Disk`] below a directory: one that is slow, that fails, or that forgets what was never synced.

#![expect(
    unsafe_code,
    reason = "SQLite takes a file layer as C structures; every block says what it relies on"
)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::size_of;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;
use rusqlite::ffi;

use super::tap::{self, Tap};
use crate::kit::limits::WAL_HELD_BYTES_MAX as HELD_BYTES_MAX;

/// Under this name SQLite knows the layer.
const NAME: &CStr = c"burrow";
/// Bytes of the header of a write-ahead log, of a frame's header, and of a page (the only size that is held).
const LOG_HEADER: i64 = 32;
const FRAME_HEADER: usize = 24;
const PAGE: usize = 4096;
/// Where the real file begins behind ours.
const OFFSET: usize = size_of::<File>().next_multiple_of(16);

/// What a test puts below the databases of a directory. An error is told to SQLite as an error of input and output.
pub trait Disk: Send + Sync {
    /// `len` bytes are about to be written at `offset`.
    ///
    /// # Errors
    /// To refuse it.
    fn before_write(&self, file: &Raw<'_>, offset: u64, len: usize) -> Result<(), Refused>;
    /// The file is about to be cut to `size`.
    ///
    /// # Errors
    /// To refuse it.
    fn before_truncate(&self, file: &Raw<'_>, size: u64) -> Result<(), Refused>;
    /// What was written so far is about to be made durable.
    ///
    /// # Errors
    /// To refuse it.
    fn sync(&self, file: &Raw<'_>) -> Result<(), Refused>;
    /// The file is about to be removed.
    ///
    /// # Errors
    /// To refuse it.
    fn before_delete(&self, path: &Path) -> Result<(), Refused>;
}

/// Why a [`Disk`] does not do it.
#[derive(Clone, Copy, Debug)]
pub enum Refused {
    /// It does nothing any more.
    Broken,
    /// There is no room left.
    Full,
}

impl Refused {
    fn code(self) -> c_int {
        match self {
            Self::Broken => ffi::SQLITE_IOERR,
            Self::Full => ffi::SQLITE_FULL,
        }
    }
}

/// A file as it is on the disk now.
#[derive(Debug)]
pub struct Raw<'a> {
    path: &'a Path,
    real: *mut ffi::sqlite3_file,
}

impl Raw<'_> {
    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.path
    }

    /// Its bytes from `offset` on, zeros past its end.
    #[must_use]
    pub fn read(&self, offset: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let at = offset.cast_signed();
        if let Ok(amount) = c_int::try_from(len) {
            // SAFETY: `real` is an open file of the system's layer for as long as this borrow lives; the buffer has `amount` bytes.
            unsafe { read(self.real, bytes.as_mut_ptr().cast(), amount, at) };
        }
        bytes
    }

    /// Its bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        let mut size = 0;
        // SAFETY: as in `read`.
        unsafe {
            methods(self.real)
                .xFileSize
                .map(|f| f(self.real, &raw mut size))
        };
        size.cast_unsigned()
    }
}

/// Puts `disk` below every database of `dir` that is opened from now on; nothing where the same directory has one.
pub fn put_below(dir: &Path, disk: Arc<dyn Disk>) {
    DISKS.write().push((dir.to_owned(), disk));
    ANY_DISK.store(true, Ordering::Release);
}

static DISKS: RwLock<Vec<(PathBuf, Arc<dyn Disk>)>> = RwLock::new(Vec::new());
static ANY_DISK: AtomicBool = AtomicBool::new(false);

fn disk_of(path: &Path) -> Option<Arc<dyn Disk>> {
    if !ANY_DISK.load(Ordering::Acquire) {
        return None;
    }
    let disks = DISKS.read();
    let mut below = disks.iter().filter(|(dir, _)| path.starts_with(dir));
    below.next_back().map(|(_, disk)| Arc::clone(disk))
}

/// The layer's name, for opening a connection over it; nothing where it cannot be had, and the system's own has to do.
pub(super) fn name() -> Option<&'static CStr> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    REGISTERED.get_or_init(register).then_some(NAME)
}

struct Real(*mut ffi::sqlite3_vfs);
// SAFETY: SQLite's layers live as long as the process and may be called from any thread.
unsafe impl Send for Real {}
// SAFETY: as above.
unsafe impl Sync for Real {}

static REAL: OnceLock<Real> = OnceLock::new();

fn register() -> bool {
    // SAFETY: finding a layer has no conditions; the copy keeps the real one's private data, which its functions get
    // through it, and is never freed, as SQLite demands of a registered layer.
    unsafe {
        if ffi::sqlite3_initialize() != ffi::SQLITE_OK {
            return false;
        }
        let real = ffi::sqlite3_vfs_find(ptr::null());
        let (Some(layer), Ok(before)) = (real.as_ref(), c_int::try_from(OFFSET)) else {
            return false;
        };
        if layer.xOpen.is_none() {
            return false;
        }
        let ours = ffi::sqlite3_vfs {
            szOsFile: layer.szOsFile + before,
            pNext: ptr::null_mut(),
            zName: NAME.as_ptr(),
            xOpen: Some(open),
            xDelete: Some(delete),
            ..*layer
        };
        REAL.get_or_init(|| Real(real));
        ffi::sqlite3_vfs_register(Box::into_raw(Box::new(ours)), 0) == ffi::SQLITE_OK
    }
}

/// Our part of an open file; the real one begins [`OFFSET`] bytes after its start.
#[repr(C)]
struct File {
    base: ffi::sqlite3_file,
    /// Frames that are held, of a write-ahead log only.
    held: Option<Box<Held>>,
    disk: Option<Box<(PathBuf, Arc<dyn Disk>)>>,
    /// Hears of what is written, of a write-ahead log that is shipped.
    tap: Option<Arc<Tap>>,
}

/// Frames of a write-ahead log that are not written yet, one after the other.
#[derive(Default)]
struct Held {
    start: i64,
    bytes: Vec<u8>,
    /// Whether the last of them still lacks its page, and whether it is the one that commits.
    lacks_page: bool,
    commits: bool,
}

/// What became of a write.
#[derive(PartialEq, Eq)]
enum Kept {
    /// It is held.
    Held,
    /// It is held and must not wait any longer.
    Due,
    /// It is none of those that are held.
    No,
}

impl Held {
    fn end(&self) -> i64 {
        self.start + i64::try_from(self.bytes.len()).unwrap_or(i64::MAX)
    }

    fn take(&mut self, bytes: &[u8], at: i64) -> Kept {
        if self.lacks_page {
            if at != self.end() || bytes.len() != PAGE {
                return Kept::No;
            }
            self.bytes.extend_from_slice(bytes);
            self.lacks_page = false;
            return if self.commits || self.bytes.len() >= HELD_BYTES_MAX {
                Kept::Due
            } else {
                Kept::Held
            };
        }
        let frame = i64::try_from(FRAME_HEADER + PAGE).unwrap_or(i64::MAX);
        let begins = bytes.len() == FRAME_HEADER && (at - LOG_HEADER) % frame == 0;
        if !begins || (!self.bytes.is_empty() && at != self.end()) {
            return Kept::No;
        }
        if self.bytes.is_empty() {
            self.start = at;
        }
        self.bytes.extend_from_slice(bytes);
        self.lacks_page = true;
        // The size of the database after the commit, zero where the frame is none.
        self.commits = bytes[4..8] != [0; 4];
        Kept::Held
    }
}

/// # Safety
/// `file` was opened by [`open`] and is not closed.
unsafe fn real(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: SQLite allocates as many bytes as we have asked for, ours and the real file's.
    unsafe { file.cast::<u8>().add(OFFSET).cast() }
}

/// # Safety
/// `file` is an open file.
unsafe fn methods<'a>(file: *mut ffi::sqlite3_file) -> &'a ffi::sqlite3_io_methods {
    // SAFETY: an open file's methods are set and live as long as the process.
    unsafe { &*(*file).pMethods }
}

/// # Safety
/// As SQLite's `xRead`.
unsafe fn read(file: *mut ffi::sqlite3_file, to: *mut c_void, amount: c_int, at: i64) -> c_int {
    // SAFETY: the caller's.
    unsafe {
        methods(file)
            .xRead
            .map_or(ffi::SQLITE_IOERR, |f| f(file, to, amount, at))
    }
}

impl File {
    /// Writes to the real file.
    ///
    /// # Safety
    /// `this` is open.
    unsafe fn write_real(this: *mut Self, bytes: &[u8], at: i64) -> c_int {
        // SAFETY: the caller's; the bytes are as many as is said.
        unsafe {
            let to = real(this.cast());
            if let Some(below) = &(*this).disk {
                let file = Raw {
                    path: &below.0,
                    real: to,
                };
                if let Err(refused) = below.1.before_write(&file, at.cast_unsigned(), bytes.len()) {
                    return refused.code();
                }
            }
            let Ok(amount) = c_int::try_from(bytes.len()) else {
                return ffi::SQLITE_IOERR;
            };
            let code = methods(to).xWrite.map_or(ffi::SQLITE_IOERR, |f| {
                f(to, bytes.as_ptr().cast(), amount, at)
            });
            if let Some(tap) = (*this).tap.as_ref().filter(|_| code == ffi::SQLITE_OK) {
                tap.wrote(at, bytes);
            }
            code
        }
    }

    /// Makes what was written last.
    ///
    /// # Safety
    /// `this` is open.
    unsafe fn sync_real(this: *mut Self, flags: c_int) -> c_int {
        // SAFETY: the caller's.
        unsafe {
            let file = real(this.cast());
            if let Some(below) = &(*this).disk {
                let raw = Raw {
                    path: &below.0,
                    real: file,
                };
                // The test's disk is the one that has to remember: the real one need not be waited for.
                return below
                    .1
                    .sync(&raw)
                    .map_or_else(Refused::code, |()| ffi::SQLITE_OK);
            }
            methods(file)
                .xSync
                .map_or(ffi::SQLITE_IOERR, |f| f(file, flags))
        }
    }

    /// Writes what is held.
    ///
    /// # Safety
    /// `this` is open.
    unsafe fn flush(this: *mut Self) -> c_int {
        // SAFETY: the caller's. What is held is taken out meanwhile, so that it is borrowed once.
        unsafe {
            let Some(mut held) = (*this).held.take() else {
                return ffi::SQLITE_OK;
            };
            let mut code = ffi::SQLITE_OK;
            if !held.bytes.is_empty() {
                code = Self::write_real(this, &held.bytes, held.start);
                if code == ffi::SQLITE_OK {
                    held.bytes.clear();
                    held.lacks_page = false;
                    if held.bytes.capacity() > HELD_BYTES_MAX / 4 {
                        held.bytes = Vec::new();
                    }
                } else if held.commits {
                    // SQLite takes the transaction back: written later, these frames would bring it back after a crash.
                    held.bytes.clear();
                }
            }
            (*this).held = Some(held);
            code
        }
    }
}

/// Flushes `$file` and hands the call on.
macro_rules! after_flush {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        // SAFETY: SQLite calls this for a file that `open` has opened, with arguments as the real layer's method wants them.
        unsafe {
            match File::flush($file.cast()) {
                ffi::SQLITE_OK => {
                    let to = real($file);
                    methods(to).$method.map_or(ffi::SQLITE_IOERR, |f| f(to $(, $argument)*))
                }
                code => code,
            }
        }
    }};
}

/// Hands the call on; `$none` where the real layer has no such method.
macro_rules! hand_on {
    ($file:expr, $none:expr, $method:ident $(, $argument:expr)*) => {{
        // SAFETY: as above.
        unsafe {
            let to = real($file);
            methods(to).$method.map_or($none, |f| f(to $(, $argument)*))
        }
    }};
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // Without mapped memory: reads and writes come by the methods.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read_file),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    let Some(Real(layer)) = REAL.get() else {
        return ffi::SQLITE_CANTOPEN;
    };
    // SAFETY: SQLite gives as many bytes at `file` as we have asked for; the name goes on as it came. Without methods
    // SQLite leaves the file alone, as it must where opening failed.
    unsafe {
        (*file).pMethods = ptr::null();
        let to = real(file);
        (*to).pMethods = ptr::null();
        let code = (**layer).xOpen.map_or(ffi::SQLITE_CANTOPEN, |f| {
            f(*layer, name, to, flags, flags_out)
        });
        if (*to).pMethods.is_null() {
            return code;
        }
        let path = (!name.is_null()).then(|| path_of(name));
        let is_log = flags & ffi::SQLITE_OPEN_WAL != 0;
        let tap = path.as_deref().filter(|_| is_log).and_then(tap::of);
        let below = path.and_then(|path| Some(Box::new((path.clone(), disk_of(&path)?))));
        let ours = File {
            base: ffi::sqlite3_file {
                pMethods: &raw const METHODS,
            },
            held: is_log.then(Box::default),
            disk: below,
            tap,
        };
        ptr::write(file.cast(), ours);
        code
    }
}

/// # Safety
/// `name` is a C string.
unsafe fn path_of(name: *const c_char) -> PathBuf {
    // SAFETY: the caller's.
    PathBuf::from(unsafe { CStr::from_ptr(name) }.to_string_lossy().as_ref())
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    let Some(Real(layer)) = REAL.get() else {
        return ffi::SQLITE_IOERR_DELETE;
    };
    // SAFETY: SQLite gives a C string.
    unsafe {
        if ANY_DISK.load(Ordering::Acquire) {
            let path = path_of(name);
            if let Some(Err(refused)) = disk_of(&path).map(|disk| disk.before_delete(&path)) {
                return refused.code();
            }
        }
        (**layer)
            .xDelete
            .map_or(ffi::SQLITE_IOERR_DELETE, |f| f(*layer, name, sync))
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: the file was opened by `open` and is used no more. What is held was never committed.
    unsafe {
        let to = real(file);
        let code = methods(to).xClose.map_or(ffi::SQLITE_IOERR, |f| f(to));
        ptr::drop_in_place(file.cast::<File>());
        code
    }
}

unsafe extern "C" fn read_file(
    file: *mut ffi::sqlite3_file,
    to: *mut c_void,
    amount: c_int,
    at: i64,
) -> c_int {
    after_flush!(file, xRead, to, amount, at)
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    amount: c_int,
    at: i64,
) -> c_int {
    let this: *mut File = file.cast();
    // SAFETY: the file was opened by `open`; SQLite gives as many bytes as it says.
    unsafe {
        let bytes =
            std::slice::from_raw_parts(from.cast::<u8>(), usize::try_from(amount).unwrap_or(0));
        match (*this).held.as_mut().map(|held| held.take(bytes, at)) {
            Some(Kept::Held) => return ffi::SQLITE_OK,
            Some(Kept::Due) => return File::flush(this),
            Some(Kept::No) => match File::flush(this) {
                ffi::SQLITE_OK => {}
                code => return code,
            },
            None => {}
        }
        // A frame that begins where another ended elsewhere is held from now on.
        if (*this).held.as_mut().map(|held| held.take(bytes, at)) == Some(Kept::Held) {
            return ffi::SQLITE_OK;
        }
        File::write_real(this, bytes, at)
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    // SAFETY: the file was opened by `open`.
    unsafe {
        let this: *mut File = file.cast();
        match File::flush(this) {
            ffi::SQLITE_OK => {}
            code => return code,
        }
        if let Some(below) = &(*this).disk {
            let raw = Raw {
                path: &below.0,
                real: real(file),
            };
            if let Err(refused) = below.1.before_truncate(&raw, size.cast_unsigned()) {
                return refused.code();
            }
        }
    }
    hand_on!(file, ffi::SQLITE_IOERR, xTruncate, size)
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: the file was opened by `open`.
    unsafe {
        let this: *mut File = file.cast();
        match File::flush(this) {
            ffi::SQLITE_OK => {}
            code => return code,
        }
        let code = File::sync_real(this, flags);
        if let Some(tap) = (*this).tap.as_ref().filter(|_| code != ffi::SQLITE_OK) {
            // SQLite takes back what was told already.
            tap.lose();
        }
        code
    }
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    after_flush!(file, xFileSize, size)
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    hand_on!(file, ffi::SQLITE_IOERR, xLock, level)
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    hand_on!(file, ffi::SQLITE_IOERR, xUnlock, level)
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    hand_on!(file, ffi::SQLITE_IOERR, xCheckReservedLock, out)
}

unsafe extern "C" fn file_control(
    file: *mut ffi::sqlite3_file,
    what: c_int,
    argument: *mut c_void,
) -> c_int {
    hand_on!(file, ffi::SQLITE_NOTFOUND, xFileControl, what, argument)
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    hand_on!(file, 4096, xSectorSize)
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    hand_on!(file, 0, xDeviceCharacteristics)
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    hand_on!(file, ffi::SQLITE_IOERR, xShmMap, page, size, extend, out)
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    offset: c_int,
    n: c_int,
    flags: c_int,
) -> c_int {
    hand_on!(file, ffi::SQLITE_IOERR, xShmLock, offset, n, flags)
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    hand_on!(file, (), xShmBarrier)
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    hand_on!(file, ffi::SQLITE_OK, xShmUnmap, delete)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use rusqlite::Connection;

    use super::super::rig::{Home, Rows, check, checkpoint, rows, write};
    use super::*;

    /// Counts writes to the log, and fails them when told to.
    #[derive(Default)]
    struct Gauge {
        writes: AtomicUsize,
        full: AtomicBool,
    }

    impl Disk for Gauge {
        fn before_write(&self, file: &Raw<'_>, _: u64, _: usize) -> Result<(), Refused> {
            if file.path().to_string_lossy().ends_with("-wal") {
                self.writes.fetch_add(1, Ordering::Relaxed);
            }
            let full = self.full.load(Ordering::Relaxed);
            if full { Err(Refused::Full) } else { Ok(()) }
        }

        fn before_truncate(&self, _: &Raw<'_>, _: u64) -> Result<(), Refused> {
            Ok(())
        }

        fn sync(&self, _: &Raw<'_>) -> Result<(), Refused> {
            Ok(())
        }

        fn before_delete(&self, _: &Path) -> Result<(), Refused> {
            Ok(())
        }
    }

    fn count(connection: &Connection) -> i64 {
        let sum = "SELECT count(*) FROM t";
        connection.query_row(sum, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_commit_is_one_write() {
        let (home, gauge) = (Home::new(), Arc::new(Gauge::default()));
        put_below(&home.0, gauge.clone());
        let connection = home.open();
        connection
            .execute_batch("CREATE INDEX i ON t (v); INSERT INTO t VALUES (1, 'a')")
            .unwrap();
        let before = gauge.writes.load(Ordering::Relaxed);

        let insert = "INSERT INTO t VALUES (2, 'b')";
        connection.execute_batch(insert).unwrap();

        assert_eq!(gauge.writes.load(Ordering::Relaxed), before + 1);
        assert_eq!(count(&home.open()), 2);
    }

    #[test]
    fn a_commit_that_found_no_room_never_comes_back() {
        let (home, gauge) = (Home::new(), Arc::new(Gauge::default()));
        put_below(&home.0, gauge.clone());
        let connection = home.open();
        gauge.full.store(true, Ordering::Relaxed);
        let insert = "INSERT INTO t VALUES (1, 'a')";
        assert!(connection.execute_batch(insert).is_err());
        gauge.full.store(false, Ordering::Relaxed);
        assert_eq!(count(&connection), 0);

        // As after a crash: the log is read from its start.
        let copy = home.0.join("copy.db");
        std::fs::copy(home.0.join("a.db"), &copy).unwrap();
        std::fs::copy(home.0.join("a.db-wal"), home.0.join("copy.db-wal")).unwrap();
        assert_eq!(count(&Connection::open(copy).unwrap()), 0);
        connection.execute_batch(insert).unwrap();
        assert_eq!(count(&connection), 1);
    }

    #[test]
    fn transactions_larger_than_the_cache_with_parts_taken_back_are_what_they_should_be() {
        let home = Home::new();
        let (mut connection, reader) = (home.open(), home.open());
        let mut model = Rows::new();
        for round in 0..40 {
            model = write(&mut connection, &model);
            if round % 10 == 9 {
                checkpoint(&reader, "TRUNCATE");
            }
            for one in [&connection, &reader] {
                assert_eq!(model, rows(one));
            }
        }
        check(&reader);
    }
}
