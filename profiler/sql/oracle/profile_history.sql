/* tomehub:profile_history */
SELECT /*+ CURSOR_SHARING_EXACT */ TO_CHAR(sample_time, 'YYYY-MM-DD HH24:MI:SS') AS sampled, session_id, session_state, event, wait_class, sql_id, module, action, blocking_session
FROM v$active_session_history
WHERE session_type = 'FOREGROUND' AND sample_time >= TO_DATE(:since, 'YYYY-MM-DD HH24:MI:SS') AND sample_time < TO_DATE(:until, 'YYYY-MM-DD HH24:MI:SS')
