//! Every bound of the product on one page: unit, reason, and what a client sees when it is hit.

/// Bytes of a request body where no collection or setting says otherwise (contract 1.10); past it 413.
pub const BODY_BYTES_MAX: u64 = 32 << 20;
/// Bytes of a batch body when `batch.maxBodySize` is 0 (contract 1.10); past it 413.
pub const BATCH_BODY_BYTES_MAX: u64 = 128 << 20;
/// Code points of the URL of one request in a batch (contract 8); past it 400.
pub const BATCH_URL_CHARS_MAX: usize = 2_000;
/// Levels of nesting in a JSON body: far beyond any record, well within a thread's stack; past it 400.
pub const JSON_DEPTH_MAX: usize = 128;
/// Parts of one multipart body: fields and files together; past it 400.
pub const MULTIPART_PARTS_MAX: usize = 2_000;
/// Fields of a form-encoded body or a query string: far beyond any record; further ones are ignored.
pub const FORM_PAIRS_MAX: usize = 5_000;
/// Bytes of one upload kept in memory before it goes to a temporary file.
pub const UPLOAD_MEMORY_BYTES_MAX: usize = 256 << 10;
/// Bytes of a refused body that are still read, so that a client in the middle of sending hears the answer.
pub const REFUSED_BODY_BYTES_MAX: u64 = 64 << 20;
/// Seconds in which the headers of a request must arrive (contract 1.2).
pub const HEADER_SECS_MAX: u64 = 60;
/// Seconds in which the body of a request must arrive (contract 1.2).
pub const BODY_SECS_MAX: u64 = 300;
/// Seconds that a client may take nothing of an answer (contract 1.2); then its connection is closed.
pub const WRITE_STALL_SECS_MAX: u64 = 300;
/// Characters of a request id that a caller brings along; a longer one is replaced.
pub const REQUEST_ID_CHARS_MAX: usize = 64;
/// Bytes from which a JSON answer is compressed: below, the time costs more than the bytes on any network but the slowest.
pub const PACKED_JSON_BYTES_MIN: u64 = 16 << 10;
/// Bytes from which a text of the public directory is compressed: what fits a packet anyway is not.
pub const PACKED_TEXT_BYTES_MIN: u64 = 1_400;
/// Requests that are being answered at a time, streams of events aside; past it 503 with `Retry-After`.
pub const REQUESTS_AT_ONCE_MAX: usize = 10_000;
/// Open connections of all kinds; past it new ones are answered 503 and closed.
pub const CONNECTIONS_MAX: usize = 65_000;
/// Bytes of request bodies held in memory at a time, of all requests together; past it 503 with `Retry-After`.
pub const BODIES_BYTES_MAX: usize = 512 << 20;
/// Seconds after which whoever was turned away may come back.
pub const RETRY_SECS: u64 = 1;
/// Seconds between two exports of metrics where nobody says otherwise.
pub const OTLP_SECS_DEFAULT: u64 = 15;
/// Seconds that one export may take.
pub const OTLP_TIMEOUT_SECS: u64 = 10;
/// Bytes of the head of a request; past it 431.
pub const HEADER_BYTES_MAX: usize = 1 << 20;

/// Bytes of one `filter` parameter (contract 4.3); past it 400.
pub const FILTER_BYTES_MAX: usize = 3_500;
/// Comparisons in one filter or rule (contract 4.3); past it 400, or the rule is invalid.
pub const FILTER_COMPARISONS_MAX: usize = 200;
/// Nesting of parentheses in an expression: the contract names none and accepts 1,000; the parser keeps its own
/// stack, so that this bound protects memory, not the thread; past it 400.
pub const FILTER_DEPTH_MAX: usize = 1_200;
/// Bytes of a rule's text: 200 comparisons never need more; past it the rule is invalid.
pub const RULE_BYTES_MAX: usize = 64 << 10;
/// Clauses of a refusing rule that are judged again to name the one that did not hold: each can be a query, and whoever
/// is refused decides how often. Past it the log names the group.
pub const REFUSAL_CLAUSES_MAX: usize = 16;
/// Characters of a value that an explained rule shows; of longer ones their beginning.
pub const EXPLAIN_VALUE_CHARS_MAX: usize = 200;
/// Joins along one path of an expression (contract 4.3); past it 400.
pub const PATH_JOINS_MAX: usize = 6;
/// Nested function calls (contract 4.3); past it 400.
pub const FUNCTION_DEPTH_MAX: usize = 3;
/// Arguments of one function (contract 4.3); past it 400.
pub const FUNCTION_ARGS_MAX: usize = 10;
/// Compiled expressions that one schema keeps by their text; past it all are dropped and compiled again when asked for.
pub const EXPR_CACHE_MAX: usize = 2_000;
/// Bytes of a LIKE pattern that a request submits: SQLite's own bound; a longer one matches nothing.
pub const LIKE_BYTES_MAX: usize = 50_000;
/// Rows known by id up to which a filter probes other tables for each, instead of computing sets of matching records.
pub const PROBED_ROWS_MAX: usize = 64;
/// Combinations of list items that an expression is judged over in memory; past it the database judges.
pub const EVAL_ROWS_MAX: usize = 10_000;
/// Entries of `sort` (contract 4.3); past it 400.
pub const SORT_ENTRIES_MAX: usize = 8;
/// Bytes of one entry of `sort` (contract 4.3); past it 400.
pub const SORT_ENTRY_BYTES_MAX: usize = 255;
/// Nested levels of `expand` (contract 5.9); deeper parts are ignored.
pub const EXPAND_DEPTH_MAX: usize = 6;
/// Paths of one `expand` parameter: the contract names none; further ones are ignored.
pub const EXPAND_PATHS_MAX: usize = 100;
/// Referring records of one back-relation expand (contract 5.9); further ones are left out.
pub const BACK_RELATION_EXPAND_MAX: usize = 1_000;
/// Records on one page (contract 1.8); more are clamped.
pub const PER_PAGE_MAX: u32 = 1_000;
/// Records on one page when none is asked for (contract 1.8).
pub const PER_PAGE_DEFAULT: u32 = 30;
/// Rows up to which `count=estimate` counts exactly.
pub const COUNT_EXACT_MAX: u64 = 10_000;
/// Milliseconds within which empty answers under a rule and a filter are counted (contract 5.2).
pub const GUESS_WINDOW_MILLIS: i64 = 3_000;
/// Milliseconds that such an answer is held back at most, from the fourth on; the client sees a slower answer.
pub const GUESS_DELAY_MILLIS_MAX: u64 = 500;
/// Records of one bulk request; past it 400.
pub const BULK_RECORDS_MAX: usize = 1_000_000;
/// Bulk requests that are carried out at the same time; past it 429.
pub const BULK_JOBS_MAX: usize = 4;
/// Bulk requests that are remembered, so that they can be looked at and taken back; past it the oldest are not.
pub const BULK_KEPT_MAX: usize = 32;
/// Seconds that one is remembered after its end, and the files that it freed are kept.
pub const BULK_UNDO_SECS: u64 = 600;
/// Milliseconds that one may wait before it begins; past it 400.
pub const BULK_DELAY_MILLIS_MAX: u64 = 60_000;
/// Records of one that wait for the writer at the same time.
pub const BULK_AT_ONCE: usize = 32;
/// Failed records of one that are told with their errors; the others are counted.
pub const BULK_FAILURES_MAX: usize = 100;
/// Times that a record of one is tried when the writer is busy, and the milliseconds between.
pub const BULK_BUSY_TRIES: u32 = 100;
/// See [`BULK_BUSY_TRIES`].
pub const BULK_BUSY_MILLIS: u64 = 100;
/// Records that may change along with one that is removed, if its removal is to be taken back.
pub const BULK_STEP_ENTRIES_MAX: usize = 10_000;
/// Milliseconds between two lines that tell of the progress of one.
pub const BULK_LINE_MILLIS: u64 = 80;
/// Clients whose empty answers are counted; when all are fresh, further ones wait as if they had guessed.
pub const GUESS_CLIENTS_MAX: usize = 10_000;
/// Bytes of one JSON answer; past it 400 asking for a smaller page.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Entries of one `fields` parameter: the contract names none; further ones are ignored.
pub const FIELD_PATHS_MAX: usize = 1_000;

/// Code points of a text field whose `max` is 0 (contract 3.2).
pub const TEXT_CHARS_DEFAULT: u64 = 5_000;
/// Bytes of an editor field whose `maxSize` is 0 (contract 3.7), and of a file field's file (3.12).
pub const EDITOR_BYTES_DEFAULT: u64 = 5 << 20;
/// Bytes of one file when the field's `maxSize` is 0 (contract 3.12).
pub const FILE_BYTES_DEFAULT: u64 = 5 << 20;
/// Bytes of a json field whose `maxSize` is 0 (contract 3.13).
pub const JSON_BYTES_DEFAULT: u64 = 1 << 20;
/// Code points of a password whose field has `max` 0 (contract 3.14).
pub const PASSWORD_CHARS_DEFAULT: u64 = 71;
/// Bytes of any password, and the largest `max` of a password field; a longer one is refused before it is hashed.
pub const PASSWORD_BYTES_MAX: u64 = 1_024;
/// Collections of one import; past it 400 and nothing is imported.
pub const IMPORT_COLLECTIONS_MAX: usize = 2_000;
/// Bytes of a migration's file; past it it is not applied.
pub const MIGRATION_BYTES_MAX: u64 = 64 << 20;
/// Bytes of one row of an import; past it the import ends there, since a quotation mark that is not closed would make one
/// row of the whole rest.
pub const IMPORT_ROW_BYTES_MAX: u64 = 16 << 20;
/// Columns of an imported table, and entries of its mapping; past it 400.
pub const IMPORT_COLUMNS_MAX: usize = 2_000;
/// Bytes of a file that is imported over HTTP; past it 413. The command line has no such bound.
pub const IMPORT_BYTES_MAX: u64 = 8 << 30;
/// Errors of rows that a report lists; further ones are counted.
pub const IMPORT_ERRORS_LISTED_MAX: usize = 1_000;
/// Names without a meaning that a report lists.
pub const IMPORT_IGNORED_LISTED_MAX: usize = 100;
/// Rows that share a transaction of an import: some 10 ms, for which other writes wait.
pub const IMPORT_CHUNK_ROWS: usize = 500;
/// The same, of rows with passwords: hashing is what they wait for.
pub const IMPORT_CHUNK_PASSWORDS: usize = 50;
/// Bytes of rows after which a transaction of an import begins anew.
pub const IMPORT_CHUNK_BYTES: u64 = 1 << 20;
/// Such groups of rows that wait to be written.
pub const IMPORT_CHUNKS_WAITING: usize = 4;
/// Seconds that an import which is one transaction (dry run, all or nothing) may hold the writer over HTTP; past it a dry
/// run tells how far it came, and an import is undone. Other writes are answered 503 after a second of it.
pub const IMPORT_TOGETHER_SECS_MAX: u64 = 15;
/// The same of a command that has the directory to itself.
pub const IMPORT_TOGETHER_SECS_ALONE_MAX: u64 = 6 * 60 * 60;
/// Times that an import asks again for a turn which a busy writer refused, a quarter of a second apart.
pub const IMPORT_TURNS_MAX: u32 = 120;
/// Bytes of an export that are made at a time, one record aside.
pub const EXPORT_PIECE_BYTES: usize = 512 << 10;
/// Bytes of one compiled pattern of a field; past it the pattern is invalid at save.
pub const PATTERN_COMPILED_BYTES_MAX: usize = 2 << 20;
/// Nested groups of one pattern; past it the pattern is invalid at save.
pub const PATTERN_NEST_MAX: u32 = 100;
/// Bytes that one autogenerate pattern may produce; past it the pattern is invalid at save.
pub const GENERATED_CHARS_MAX: usize = 16 << 10;
/// Pixels of an image that a thumb is made from: a decoded picture takes 4 bytes each; larger ones are served as they are.
pub const THUMB_SOURCE_PIXELS_MAX: u64 = 50_000_000;
/// Views over views that are followed to the table that holds a file (contract 6.4); deeper files are not found.
pub const VIEW_LEVELS_MAX: usize = 5;
/// Bytes of a file that are read at a time, and up to which a file is read at once.
pub const FILE_CHUNK_BYTES: usize = 64 << 10;
/// Bytes of a file that a thumb is made from; a larger one is served as it is.
pub const THUMB_SOURCE_BYTES_MAX: u64 = 64 << 20;
/// Pixels of a thumb; a larger format is served as the original.
pub const THUMB_PIXELS_MAX: u64 = 16_000_000;
/// Bytes that decoding one picture may take; past it the original is served.
pub const THUMB_MEMORY_BYTES_MAX: u64 = 256 << 20;
/// Thumbs that wait to be made; past it the original is served.
pub const THUMB_QUEUE_MAX: usize = 256;
/// Thumbs made at the same time; further requests wait for their turn.
pub const THUMB_WORKERS_MAX: usize = 1;

/// Subscriptions of one realtime connection (contract 7.2, realtime protocol).
pub const SUBSCRIPTIONS_MAX: usize = 1_000;
/// Bytes of one subscription (contract 7.2).
pub const SUBSCRIPTION_BYTES_MAX: usize = 2_500;
/// Bytes of one WebSocket message of a client; past it the connection is closed with 1009.
pub const REALTIME_MESSAGE_BYTES_MAX: usize = 64 << 10;
/// Frames and bytes waiting for one realtime connection; past either it is put back to replay.
pub const REALTIME_QUEUE_FRAMES_MAX: usize = 1_024;
/// See [`REALTIME_QUEUE_FRAMES_MAX`].
pub const REALTIME_QUEUE_BYTES_MAX: usize = 1 << 20;
/// Entries of the change log that one step of a replay reads.
pub const REPLAY_ENTRIES_MAX: usize = 256;
/// Frames of one step of a replay; what is left comes with the next one.
pub const REPLAY_FRAMES_MAX: usize = 512;
/// Bytes of the frames of one step of a replay, the last frame aside.
pub const REPLAY_BYTES_MAX: usize = 512 << 10;
/// Bytes that one replay remembers of records which change again later; past it the client gets a `reset`.
pub const REPLAY_MEMORY_BYTES_MAX: usize = 16 << 20;
/// Open realtime connections of one server where settings say nothing else; past it a guest who has been there longest
/// gives up his place, and 503 when there is none.
pub const REALTIME_CONNECTIONS_MAX: usize = 50_000;
/// Open realtime connections from one address (/64 of IPv6) where settings say nothing else; past it 429.
pub const REALTIME_CONNECTIONS_ADDRESS_MAX: usize = 1_000;
/// Messages of a WebSocket client that are read at once, and in each second after that; further ones wait in the
/// client's own network buffers.
pub const REALTIME_MESSAGES_BURST: u32 = 2_000;
/// See [`REALTIME_MESSAGES_BURST`].
pub const REALTIME_MESSAGES_PER_SEC: u32 = 1_000;
/// Event streams that broke off and whose place is remembered; the oldest are forgotten first.
pub const CATCH_UP_STREAMS_MAX: usize = 10_000;
/// Milliseconds that such a place is remembered (realtime protocol); then its client starts anew.
pub const CATCH_UP_MILLIS_MAX: i64 = 60_000;
/// Patterns of channels in the settings; past it 400.
pub const CHANNEL_PATTERNS_MAX: usize = 200;
/// Bytes of a channel's name or pattern; past it 400.
pub const CHANNEL_PATTERN_BYTES_MAX: usize = 255;
/// Bytes of a message's event name; past it 400.
pub const CHANNEL_EVENT_BYTES_MAX: usize = 255;
/// Bytes of one member's presence (realtime protocol); past it 400.
pub const CHANNEL_PRESENCE_BYTES_MAX: usize = 4 << 10;
/// Messages of a channel that can be had again, and for how long (realtime protocol); then `reset`.
pub const CHANNEL_MESSAGES_MAX: usize = 256;
/// See [`CHANNEL_MESSAGES_MAX`].
pub const CHANNEL_MILLIS_MAX: i64 = 60_000;
/// Messages and notices of presence that one channel holds for members who are behind; then they get `reset`.
pub const CHANNEL_ENTRIES_MAX: usize = 2_048;
/// Members of a channel with presence: each is told of every other; past it 400.
pub const CHANNEL_MEMBERS_MAX: usize = 1_000;
/// Bytes of the messages that all channels hold; past it the channel that grows loses its oldest.
pub const CHANNEL_HISTORY_BYTES_MAX: usize = 32 << 20;
/// Bytes that all members of all channels hold; past it joining is answered 503.
pub const CHANNEL_MEMBER_BYTES_MAX: usize = 64 << 20;
/// Bytes of record images between the writer and the hub; a hub that falls behind reads the log.
pub const CHANGE_RING_BYTES_MAX: usize = 8 << 20;

/// Change log: entries, bytes and age kept, whichever is reached first.
pub const CHANGE_LOG_ENTRIES_MAX: u64 = 1_000_000;
/// See [`CHANGE_LOG_ENTRIES_MAX`].
pub const CHANGE_LOG_BYTES_MAX: u64 = 256 << 20;
/// See [`CHANGE_LOG_ENTRIES_MAX`]; in seconds.
pub const CHANGE_LOG_AGE_SECS_MAX: i64 = 24 * 60 * 60;

/// Writes waiting for the writer; past it 503 with `Retry-After`.
pub const WRITE_QUEUE_MAX: usize = 1_000;
/// Writes that share one commit.
pub const WRITE_GROUP_MAX: usize = 128;
/// Reads waiting for a reader; past it 503 with `Retry-After`.
pub const READ_QUEUE_MAX: usize = 4_000;
/// Milliseconds that the oldest waiting write may have waited when another one comes; past it that one is answered 503
/// with `Retry-After` at once: a queue that does not move is not made longer.
pub const WRITE_QUEUE_MILLIS_MAX: u64 = 1_000;
/// Seconds a write may wait for its turn; past it 503 with `Retry-After`.
pub const WRITE_WAIT_SECS_MAX: u64 = 10;
/// Bytes of record images that one transaction holds for those who listen; past it they read the log.
pub const CHANGE_IMAGES_BYTES_MAX: u64 = 8 << 20;
/// Records that a deletion may take along as one of a group of writes; past it, it is begun anew in a transaction of its
/// own.
pub const CASCADE_SHARED_MAX: usize = 500;
/// Records that a truncation reads at a time.
pub const TRUNCATE_STEP: u64 = 500;
/// Seconds to wait for another process that holds the database's lock (contract-auth 8.2).
pub const LOCK_WAIT_SECS_MAX: u64 = 10;
/// Microseconds that a commit group waits for members where each COMMIT waits for the disk; unseen beside a sync.
pub const WRITE_LINGER_MICROS_MAX: u64 = 300;
/// Bytes of a transaction's frames that are written to the write-ahead log at once; a longer one is written in parts. SQLite's
/// own layer takes no more than 128 KiB at a time.
pub const WAL_HELD_BYTES_MAX: usize = 96 << 10;
/// Bytes that SQLite may hold for all connections together before it reuses pages instead of asking for more.
pub const SQLITE_HEAP_BYTES: i64 = 64 << 20;
/// Bytes of the write-ahead log file kept after a checkpoint (contract-auth 8.2).
pub const WAL_BYTES_KEPT: i64 = 200_000_000;
/// Pages (4 KiB) of write-ahead log after which a checkpoint is due.
pub const WAL_PAGES_CHECKPOINT: u64 = 1_024;
/// Bytes of writes that wait to be shipped in memory; past it a new copy of the database is shipped instead.
pub const TAP_BYTES_MAX: usize = 64 << 20;
/// Bytes of writes after which a part of what is shipped is closed.
pub const SHIP_PART_BYTES: usize = 4 << 20;
/// Bytes of writes that wait while their place cannot be reached; past it a new copy of the database is shipped instead.
pub const SHIP_BEHIND_BYTES_MAX: usize = 128 << 20;
/// Days that one may go back to.
pub const SHIP_DAYS_DEFAULT: u64 = 7;
/// Pages of write-ahead log after which a checkpoint also restarts it.
pub const WAL_PAGES_RESTART: u64 = 16 * 1_024;
/// Pages of write-ahead log past which long reads are interrupted.
pub const WAL_PAGES_PRESSURE: u64 = 128 * 1_024;
/// Seconds that a read may take while the write-ahead log is past [`WAL_PAGES_PRESSURE`].
pub const READ_SECS_UNDER_PRESSURE: u64 = 10;
/// Entries of the change log dropped in one step of trimming, so that no write waits for a long one.
pub const CHANGE_LOG_TRIM_STEP: u64 = 500;
/// Seconds that a write of the *alone* kind may hold the writer (batch has its own setting).
pub const WRITE_ALONE_SECS_MAX: u64 = 180;
/// Seconds that a read may take (the contract's `--queryTimeout`).
pub const READ_SECS_MAX: u64 = 30;
/// Prepared statements kept by each connection.
pub const STATEMENT_CACHE: usize = 256;

/// Password hashes waiting for the hashing pool; past it 503 with `Retry-After`.
pub const HASH_QUEUE_MAX: usize = 512;
/// KiB of memory that a stored argon2 hash may ask for; one that asks for more is a wrong password.
pub const ARGON2_MEMORY_KIB_MAX: u32 = 256 << 10;
/// Rounds times lanes that a stored argon2 hash may ask for; as above.
pub const ARGON2_ROUNDS_MAX: u32 = 32;
/// Cost of a stored bcrypt hash (each step doubles the time; 16 is seconds); as above.
pub const BCRYPT_COST_MAX: u32 = 16;
/// Failed sign-ins to one account from one network (/24 or /64) in [`SIGN_IN_WINDOW_MILLIS`]; past it 429.
pub const SIGN_IN_FAILURES_MAX: u32 = 10;
/// Failed sign-ins from one address, whatever the account; past it 429.
pub const SIGN_IN_FAILURES_ADDRESS_MAX: u32 = 100;
/// Milliseconds in which failed sign-ins are counted.
pub const SIGN_IN_WINDOW_MILLIS: i64 = 5 * 60 * 1000;
/// Tries of one account's codes from one address in [`CODE_TRIES_WINDOW_MILLIS`] (contract-auth 2.3); past it 429.
pub const CODE_TRIES_ADDRESS_MAX: u32 = 5;
/// Tries of one account's codes from all addresses together; past it 429, and the code is void.
pub const CODE_TRIES_MAX: u32 = 25;
/// Milliseconds in which tries of codes are counted.
pub const CODE_TRIES_WINDOW_MILLIS: i64 = 180 * 1000;
/// Codes of one account that are good at a time (contract-auth 2.3); past it the newest is answered again.
pub const CODES_UNEXPIRED_MAX: usize = 10;
/// Digits of a code at most, whatever the collection says: nobody types more.
pub const CODE_DIGITS_MAX: usize = 64;
/// Codes promised to addresses that nobody has, of all collections together; past it the oldest are forgotten.
pub const CODES_INVENTED_MAX: usize = 20_000;
/// Counts of failed sign-ins that are kept; past it those with the fewest failures are forgotten.
pub const THROTTLE_KEYS_MAX: usize = 20_000;
/// Milliseconds before a failed sign-in is answered: longer than either kind of hash takes, so that the time tells
/// nothing of the account.
pub const FAILURE_MILLIS_MIN: u64 = 150;
/// Devices remembered for one account (contract-auth 2.7); the oldest go first.
pub const DEVICES_MAX: usize = 5;
/// Sessions listed for one account; tokens of further sign-ins name none, and count as older sign-ins.
pub const SESSIONS_MAX: usize = 200;
/// Milliseconds in which the use of a session is noted once.
pub const SESSION_NOTE_MILLIS: i64 = 5 * 60 * 1000;
/// Sessions whose use waits to be noted; that of further ones is noted at a later request.
pub const SESSIONS_NOTED_MAX: usize = 20_000;
/// Seconds that notes of use wait for each other.
pub const SESSION_NOTE_DELAY_SECS: u64 = 3;
/// Seconds that an impersonation may last: the contract's bound for configured tokens; longer ones are cut to it.
pub const TOKEN_LIFE_SECS_MAX: i64 = 94_670_856;
/// Bytes of a token; a longer one is a guest's.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;
/// Tokens whose caller is remembered; the oldest go first.
pub const TOKEN_CACHE_MAX: usize = 10_000;

/// Mails that wait to be sent or to be tried again; a further one is given up at once, and the log tells.
pub const MAIL_QUEUE_MAX: usize = 1_000;
/// Mails that are handed to the mail server at the same time.
pub const MAILS_AT_ONCE_MAX: usize = 4;
/// Seconds that a mail server may take for one answer.
pub const SMTP_ANSWER_SECS_MAX: u64 = 10;
/// Seconds that one try to send a mail may take, whatever the server does.
pub const MAIL_SEND_SECS_MAX: u64 = 30;
/// Seconds that mails which wait may still take when the server ends; then they are lost, and the console tells.
pub const MAIL_DRAIN_SECS_MAX: u64 = 5;
/// Milliseconds in which one account gets one mail of a kind that anybody may ask for (contract-auth 2.8, 2.9); further
/// requests are answered the same, and nothing is sent.
pub const MAIL_AGAIN_MILLIS: i64 = 120 * 1000;
/// Requests of one account to move to another address in [`SIGN_IN_WINDOW_MILLIS`]; past it 429.
pub const EMAIL_CHANGES_MAX: u32 = 20;
/// Requests for mails from one address in [`SIGN_IN_WINDOW_MILLIS`]; past it 429.
pub const MAIL_REQUESTS_ADDRESS_MAX: u32 = 120;

/// Rows of the SQL console's answer (contract 10.1); further ones are cut.
pub const CONSOLE_ROWS_MAX: usize = 1_000;
/// Bytes of a console or view query (contract 10.1, 2.10); past it 400.
pub const CONSOLE_QUERY_CHARS_MAX: usize = 5_000;
/// Searches and batches of log entries waiting for the logs' thread; past it 503.
pub const LOG_JOBS_MAX: usize = 256;
/// Log entries waiting to be written; past it the oldest are dropped and counted.
pub const LOG_QUEUE_MAX: usize = 10_000;
/// Log entries written at once; that many waiting are written without further delay.
pub const LOG_BATCH_MAX: usize = 200;
/// Seconds that a log entry waits for others before it is written.
pub const LOG_DELAY_SECS: u64 = 3;
/// Of so many parts of a log that is too large one is removed at a time.
pub const LOG_TRIM_PARTS: u64 = 32;
/// Bytes of a log entry's data when `logs.maxDataSize` is 0 (contract-auth 5.1).
pub const LOG_DATA_BYTES_DEFAULT: usize = 16 << 10;
/// Characters of a URL in the request log (contract-auth 6.1).
pub const LOG_URL_CHARS_MAX: usize = 3_000;
/// Characters of other request headers in the request log (contract-auth 6.1).
pub const LOG_HEADER_CHARS_MAX: usize = 2_000;
/// Windows of the rate limiter that are counted at a time; further clients share one.
pub const RATE_WINDOWS_MAX: usize = 100_000;

/// Redirects that an outgoing request follows; past it it failed.
pub const OUTBOUND_REDIRECTS_MAX: usize = 5;
/// Headers of an answer to an outgoing request; past it it failed.
pub const OUTBOUND_HEADERS_MAX: usize = 100;
/// Seconds that connecting to a place that is asked again and again may take; past it the request failed.
pub const POOL_CONNECT_SECS_MAX: u64 = 10;
/// Seconds until such a place begins to answer, besides those that a large body takes; past it the request failed.
pub const POOL_HEAD_SECS_MAX: u64 = 60;
/// Seconds that an idle connection is kept: shorter than stores keep theirs.
pub const POOL_IDLE_SECS_MAX: u64 = 15;
/// Seconds between two pieces of an answer of a bucket; past it the answer failed.
pub const BUCKET_PIECE_SECS_MAX: u64 = 60;
/// Times that a request to a bucket is sent while it fails for a reason that may pass.
pub const BUCKET_TRIES_MAX: u32 = 3;
/// Seconds that a request to a bucket is good for: enough for a clock that is a little wrong and a slow line.
pub const BUCKET_SIGNED_SECS: u64 = 3_600;
/// Bytes of a list or another answer in words; a page of a thousand long keys has about 2 MiB.
pub const BUCKET_ANSWER_BYTES_MAX: usize = 16 << 20;
/// Bytes of an object that is put by one request; a larger one goes in parts.
pub const BUCKET_PUT_BYTES_MAX: u64 = 64 << 20;
/// Bytes of a part; more where there would be too many of them.
pub const BUCKET_PART_BYTES: u64 = 16 << 20;
/// Parts of an object: S3 takes 10,000.
pub const BUCKET_PARTS_MAX: u64 = 9_000;
/// Seconds that an address is good for by which somebody reads one object past this server.
pub const SHARED_READ_SECS: u64 = 300;
/// Seconds that an address is good for by which somebody puts one object past this server: to begin, not to end.
pub const SHARED_WRITE_SECS: u64 = 900;
/// Seconds within which such an object has to become a record's; past it its token means nothing.
pub const DIRECT_SECS_MAX: u64 = 24 * 3_600;
/// Bytes of such an object: what one request of S3 puts and copies.
pub const DIRECT_BYTES_MAX: u64 = 5 << 30;
/// Seconds between two looks for such objects that never became anybody's.
pub const DIRECT_LOOK_SECS: u64 = 3_600;
/// Requests for one piece of work at the same time.
pub const BUCKET_REQUESTS_MAX: usize = 8;
/// Seconds that the questions to a provider may take for one sign-in (contract-auth 2.11); past it 400.
pub const PROVIDER_SECS_MAX: u64 = 30;
/// Bytes of one answer of a provider: tokens, keys, a person; past it 400.
pub const PROVIDER_ANSWER_BYTES_MAX: usize = 1 << 20;
/// Seconds that a picture may take (contract-auth 2.11); past it the account has none.
pub const AVATAR_SECS_MAX: u64 = 10;
/// Bytes of a picture; past it the account has none.
pub const AVATAR_BYTES_MAX: usize = 32 << 20;
/// Names that Apple told and nobody has come for yet; further ones are forgotten.
pub const APPLE_NAMES_MAX: usize = 1_000;
/// Letters of the name of a backup (contract-auth 6.3).
pub const BACKUP_NAME_CHARS_MAX: usize = 150;
/// Letters of the application's name in a generated one (contract-auth 6.3).
pub const BACKUP_APP_CHARS_MAX: usize = 50;
/// Entries of an archive that is restored; past it nothing is.
pub const BACKUP_ENTRIES_MAX: usize = 50_000_000;
/// Bytes that stay free on the disk when an archive is laid out; an archive that says it needs more is refused.
pub const BACKUP_FREE_BYTES_MIN: u64 = 64 << 20;
/// Bytes of such a name and of the code it is kept by; a longer one is forgotten.
pub const APPLE_NAME_BYTES_MAX: usize = 1_000;
/// Milliseconds that such a name is kept (contract-auth 2.12).
pub const APPLE_NAME_MILLIS: i64 = 60_000;
/// Milliseconds after a sign-in in which its token may change who gets in; later the password is asked for (403).
pub const FRESH_SIGN_IN_MILLIS: i64 = 10 * 60 * 1000;
/// Such tokens that are remembered; past it the oldest are not fresh any more.
pub const FRESH_SIGN_INS_MAX: usize = 20_000;
/// Tries at the codes of one account's authenticator in [`FACTOR_TRIES_WINDOW_MILLIS`], from all addresses; past it 429.
pub const FACTOR_TRIES_MAX: u32 = 10;
/// Milliseconds in which such tries are counted.
pub const FACTOR_TRIES_WINDOW_MILLIS: i64 = 5 * 60 * 1000;
/// Seconds in which setting up an authenticator or a passkey must be confirmed; later it begins anew.
pub const FACTOR_SETUP_SECS: i64 = 10 * 60;
/// Challenges of passkeys that wait for their answer; past it the oldest are void.
pub const CEREMONIES_MAX: usize = 10_000;
/// Such challenges given to one address in [`CEREMONY_MILLIS`]; past it 429.
pub const CEREMONIES_ADDRESS_MAX: u32 = 100;
/// Milliseconds in which a challenge must be answered.
pub const CEREMONY_MILLIS: i64 = 5 * 60 * 1000;
/// Passkeys of one account; past it 400.
pub const PASSKEYS_MAX: usize = 20;
/// Characters of a passkey's name; past it 400.
pub const PASSKEY_NAME_CHARS_MAX: usize = 100;
/// API keys of one account; past it 400.
pub const API_KEYS_MAX: usize = 100;
/// Characters of an API key's name; past it 400.
pub const API_KEY_NAME_CHARS_MAX: usize = 100;
/// Addresses and networks that an API key is listed for; past it 400.
pub const API_KEY_ADDRESSES_MAX: usize = 50;
/// Origins that pages with passkeys may stand at; past it 400.
pub const PASSKEY_ORIGINS_MAX: usize = 20;
/// Codes that stand in for a lost authenticator.
pub const RECOVERY_CODES: usize = 10;
/// Seconds that clocks of providers may be off (contract-auth 2.14).
pub const ID_TOKEN_LEEWAY_SECS: u64 = 300;
/// Rows of a live query when it names no limit (realtime protocol).
pub const LIVE_ROWS_DEFAULT: u32 = 100;
/// Most rows of a live query; a larger limit is refused with 400.
pub const LIVE_ROWS_MAX: u32 = 1_000;
/// Bytes of the texts of a live query; past it 400.
pub const LIVE_QUESTION_BYTES_MAX: usize = 8 << 10;
/// Bytes of one live query's result; past it 400, and an open one ends.
pub const LIVE_RESULT_BYTES_MAX: usize = 8 << 20;
/// Bytes of all results of live queries together; past it new ones are refused with 503. Guests may use half of it.
pub const LIVE_MEMORY_BYTES_MAX: usize = 64 << 20;
/// Bytes that a live query counts for beside its rows.
pub const LIVE_QUERY_BYTES: usize = 2 << 10;
/// Milliseconds between two reads of the same live query.
pub const LIVE_PACE_MILLIS: u64 = 100;
/// A live query is at rest this many times longer than its last read took, so that slow ones leave room for others.
pub const LIVE_REST_FACTOR: u32 = 5;
/// Seconds after which a live query that reads the clock is read again.
pub const LIVE_CLOCK_SECS: i64 = 10;
/// Seconds that reading a live query may take; past it 400, and an open one ends.
pub const LIVE_READ_SECS_MAX: u64 = 5;
/// Threads that read live queries.
pub const LIVE_READERS: usize = 2;
/// Changes kept for one live query while it is being read; past it it is read once more.
pub const LIVE_BACKLOG_MAX: usize = 1_024;

/// Seconds between looks at certificates given as files.
pub const CERT_LOOK_SECS: u64 = 5;
/// Seconds after which the time of a certificate is looked at again, at the latest.
pub const CERT_RENEWAL_LOOK_SECS_MAX: u64 = 3_600;
/// Seconds for one request to a certificate authority.
pub const ACME_REQUEST_SECS_MAX: u64 = 30;
/// Seconds for one order, challenges included.
pub const ACME_ORDER_SECS_MAX: u64 = 180;
/// Bytes of one answer of a certificate authority.
pub const ACME_ANSWER_BYTES_MAX: usize = 1 << 20;
/// Seconds after a first failed try for a certificate; each further failure doubles them.
pub const ACME_RETRY_SECS_MIN: u64 = 60;
/// Seconds between failed tries at the most.
pub const ACME_RETRY_SECS_MAX: u64 = 6 * 3_600;
/// Seconds in which a TLS handshake must be done; then the connection is closed.
pub const TLS_HANDSHAKE_SECS_MAX: u64 = 10;
/// Streams of one HTTP/2 connection at a time; further ones wait.
pub const HTTP2_STREAMS_MAX: u32 = 200;
/// Bytes of the headers of one HTTP/2 request; past it the stream is refused.
pub const HTTP2_HEADER_BYTES_MAX: u32 = 64 << 10;
/// Seconds between HTTP/2 pings, and until an answer must have come.
pub const HTTP2_PING_SECS: u64 = 30;

/// Bytes that should be free on the disk of the data directory, for `doctor`.
pub const DISK_FREE_BYTES_MIN: u64 = 1 << 30;
/// Rows up to which a relation needs no index, for `doctor`.
pub const UNINDEXED_ROWS_MAX: u64 = 10_000;
/// Seconds that a connection to PostgreSQL may take to be made; past it the database counts as away (503).
pub const DATABASE_CONNECT_SECS_MAX: u64 = 5;
/// Seconds of silence after which a connection to PostgreSQL, or a transaction of a node that does not go on, is given up.
pub const DATABASE_SILENCE_SECS_MAX: u64 = 10;
/// Milliseconds that a change of a table waits for those who use it; past it 503 with `Retry-After`.
pub const DATABASE_LOCK_MILLIS_MAX: u64 = 5_000;
/// Connections to PostgreSQL that a node opens at most, unless it is told otherwise.
pub const DATABASE_CONNECTIONS: usize = 32;
/// Fewest that it can do with: those of a kind of their own, and two of each kind that reads.
pub const DATABASE_CONNECTIONS_MIN: usize = DATABASE_CONNECTIONS_OWN + 4;
/// Those of a kind of their own: one that writes, one that listens, the logs', two of realtime's present, one of its past,
/// one of live queries and those of their readers.
pub const DATABASE_CONNECTIONS_OWN: usize = 7 + LIVE_READERS;
/// Reader threads of a node with PostgreSQL, each with a connection.
pub const DATABASE_READERS_MAX: usize = 12;
/// Milliseconds that a read in place waits for a connection; past it 503 with `Retry-After`.
pub const DATABASE_TURN_MILLIS_MAX: u64 = 5_000;
/// Milliseconds that a read waits for a replica to come as far as the database; past it the database answers.
pub const DATABASE_REPLICA_MILLIS_MAX: u64 = 20;
/// Milliseconds between two looks of a node at what others wrote, when nobody tells it.
pub const DATABASE_LOOK_MILLIS: u64 = 500;
/// Milliseconds after which a node that has not seen the end of the log trusts nothing that it remembers of identities.
pub const DATABASE_STALE_MILLIS: u64 = 1_000;
/// Values that nodes of one database share for a while; past it the oldest go.
pub const NOTES_MAX: i64 = 100_000;
/// Questions to other servers of one database that wait for an answer at the same time.
pub const RELAY_ASKS_MAX: usize = 1_000;
/// Seconds that the answer of another server is waited for; it may have gone.
pub const RELAY_SECS_MAX: u64 = 3;
