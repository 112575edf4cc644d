def entries(): return []
