/* tomehub:profile_time_model */
SELECT /*+ CURSOR_SHARING_EXACT */ stat_name, value
FROM v$sys_time_model
WHERE stat_name IN ('DB time', 'DB CPU', 'parse time elapsed', 'hard parse elapsed time')
