/* tomehub:migration_add */
INSERT INTO TOMEHUB_MIGRATIONS (version, name, checksum, applied_at_ms)
VALUES (:version, :name, :checksum, :applied_at_ms)
