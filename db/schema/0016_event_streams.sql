-- Streams of events to receivers: what each wants and how far it has got in trust_change; what it was
-- sent of it without having said so in order (poll); and what is to be said about the stream itself.

CREATE TABLE event_stream (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    proxy TEXT REFERENCES proxy (name) ON DELETE CASCADE, -- whose it is; NULL: the administrators'
    description TEXT NOT NULL,
    method INTEGER NOT NULL CHECK (method BETWEEN 1 AND 3),
    endpoint_url TEXT NOT NULL, -- '' where the receiver polls
    audience TEXT NOT NULL,
    events INTEGER NOT NULL, -- a bit for each kind that was asked for
    secret TEXT NOT NULL, -- what goes into Authorization, or the key of signatures; needed as it is
    status INTEGER NOT NULL CHECK (status BETWEEN 1 AND 3),
    reason TEXT NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    version INTEGER NOT NULL,
    cursor INTEGER NOT NULL, -- the last change that is done with
    delivered INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    dropped INTEGER NOT NULL,
    failures INTEGER NOT NULL, -- since the last success
    failing_since INTEGER NOT NULL, -- 0: it does not
    last_delivery INTEGER NOT NULL, -- 0: none yet
    last_error_at INTEGER NOT NULL,
    last_error TEXT NOT NULL,
    verified INTEGER NOT NULL -- when a verification was last asked for; 0: never
) STRICT, WITHOUT ROWID;
CREATE INDEX event_stream_by_proxy ON event_stream (proxy, id);

CREATE TABLE event_acknowledged (
    stream BLOB NOT NULL REFERENCES event_stream (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    PRIMARY KEY (stream, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE event_notice (
    num INTEGER PRIMARY KEY AUTOINCREMENT, -- part of the event's name: never given twice
    stream BLOB NOT NULL REFERENCES event_stream (id) ON DELETE CASCADE,
    kind INTEGER NOT NULL CHECK (kind IN (1, 2)),
    status INTEGER NOT NULL,
    text TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT;
CREATE INDEX event_notice_by_stream ON event_notice (stream, num);
