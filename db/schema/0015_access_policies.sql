-- What a proxy may ask of a device beyond a decision that allows: named policies, and for each proxy the
-- ones that it may name, the first being its default.

CREATE TABLE access_policy (
    name TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    min_tier INTEGER NOT NULL CHECK (min_tier BETWEEN 0 AND 3),
    key_protection INTEGER NOT NULL CHECK (key_protection IN (0, 1)),
    models TEXT NOT NULL, -- names with commas between them; '': any
    segments TEXT NOT NULL, -- likewise
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE proxy_policy (
    proxy TEXT NOT NULL REFERENCES proxy (name) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    policy TEXT NOT NULL REFERENCES access_policy (name),
    PRIMARY KEY (proxy, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX proxy_policy_by_policy ON proxy_policy (policy);
