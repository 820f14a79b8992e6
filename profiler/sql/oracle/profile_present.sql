/* tomehub:profile_present */
SELECT /*+ CURSOR_SHARING_EXACT */ sql_id
FROM v$sqlstats
WHERE sql_id IN (:id)
