/* tomehub:migration_step */
/* DDL commits. In a transaction of its own it commits that one, and the lock of migrations_lock stays. */
DECLARE
  PRAGMA AUTONOMOUS_TRANSACTION;
BEGIN
  EXECUTE IMMEDIATE :step;
  COMMIT;
END;
