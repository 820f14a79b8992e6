/* tomehub:changes */
SELECT total_changes()
