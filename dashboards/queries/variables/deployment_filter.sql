-- Included in other queries: the rows of the deployments that are chosen.
('$__all' IN (${namespace:sqlstring}) OR {alias}.namespace IN (${namespace:sqlstring}) OR ({alias}.namespace = '' AND '(none)' IN (${namespace:sqlstring})))
AND ('$__all' IN (${service:sqlstring}) OR {alias}.service IN (${service:sqlstring}))
AND ('$__all' IN (${environment:sqlstring}) OR {alias}.environment IN (${environment:sqlstring}) OR ({alias}.environment = '' AND '(none)' IN (${environment:sqlstring})))
