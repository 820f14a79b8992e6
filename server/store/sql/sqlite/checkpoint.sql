/* tomehub:checkpoint */
PRAGMA wal_checkpoint(TRUNCATE)
