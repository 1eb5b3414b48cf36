-- How far each device's IMA log was confirmed in this boot. Entries are pieces (log_piece), which all
-- devices share; a device has the set of them, not their order.

CREATE TABLE device_ima (
    device INTEGER PRIMARY KEY REFERENCES device (num) ON DELETE CASCADE,
    reset_count INTEGER NOT NULL, -- which boot
    restart_count INTEGER NOT NULL,
    num_entries INTEGER NOT NULL CHECK (num_entries > 0), -- of the log
    position BLOB NOT NULL, -- PCR 10 after them
    met BLOB NOT NULL, -- ids of baselines that allow all of them
    entries BLOB NOT NULL -- ascending runs of numbers of log_piece
) STRICT;
