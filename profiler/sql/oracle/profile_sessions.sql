/* tomehub:profile_sessions */
SELECT /*+ CURSOR_SHARING_EXACT */ sid, state, event, wait_class, wait_time_micro, sql_id, module, action, blocking_session
FROM v$session
WHERE type = 'USER' AND status = 'ACTIVE'
