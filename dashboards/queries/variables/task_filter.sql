-- Included in other queries: the tasks that the variables choose, whatever their state.
('$__all' IN (${namespace:sqlstring}) OR {alias}.namespace IN (${namespace:sqlstring}) OR ({alias}.namespace = '' AND '(none)' IN (${namespace:sqlstring})))
AND ('$__all' IN (${service:sqlstring}) OR {alias}.service IN (${service:sqlstring}))
AND ('$__all' IN (${environment:sqlstring}) OR {alias}.environment IN (${environment:sqlstring}) OR ({alias}.environment = '' AND '(none)' IN (${environment:sqlstring})))
AND ('$__all' IN (${queue:sqlstring}) OR {alias}.queue IN (${queue:sqlstring}))
AND ('$__all' IN (${task:sqlstring}) OR {alias}.task_name IN (${task:sqlstring}))
AND ('$__all' IN (${worker:sqlstring}) OR {alias}.worker IN (${worker:sqlstring}))
