/* tomehub:migrations_create */
CREATE TABLE TOMEHUB_MIGRATIONS (
  version       NUMBER(10) NOT NULL,
  name          VARCHAR2(200 CHAR) NOT NULL,
  checksum      VARCHAR2(64 CHAR) NOT NULL,
  applied_at_ms NUMBER(19) NOT NULL, /* Unix time */
  CONSTRAINT TOMEHUB_MIGRATIONS_PK PRIMARY KEY (version)
)
