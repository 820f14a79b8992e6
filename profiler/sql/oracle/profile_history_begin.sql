/* tomehub:profile_history_begin */
SELECT /*+ CURSOR_SHARING_EXACT */ TO_CHAR(MIN(sample_time), 'YYYY-MM-DD HH24:MI:SS') AS oldest
FROM v$active_session_history
