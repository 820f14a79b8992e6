/* tomehub:profile_texts */
SELECT /*+ CURSOR_SHARING_EXACT */ sql_id, sql_text
FROM v$sqlstats
WHERE sql_id IN (:id)
