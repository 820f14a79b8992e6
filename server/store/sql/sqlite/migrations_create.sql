/* tomehub:migrations_create */
CREATE TABLE IF NOT EXISTS TOMEHUB_MIGRATIONS (
  version       INTEGER PRIMARY KEY,
  name          TEXT NOT NULL,
  checksum      TEXT NOT NULL,
  applied_at_ms INTEGER NOT NULL -- Unix time
) STRICT
