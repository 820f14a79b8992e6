/* tomehub:profile_children */
SELECT /*+ CURSOR_SHARING_EXACT */ sql_id, bind_mismatch, optimizer_mismatch, roll_invalid_mismatch, language_mismatch, bind_equiv_failure, use_feedback_stats
FROM v$sql_shared_cursor
WHERE sql_id IN (:id)
