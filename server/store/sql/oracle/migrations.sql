/* tomehub:migrations */
SELECT m.version, m.name, m.checksum
FROM TOMEHUB_MIGRATIONS m
ORDER BY m.version
