-- Forgets the entries of a stream up to a sequence; its head keeps the link of the last one.
-- KEYS: the stream, its head. ARGV: the sequence.
local head = read_head(KEYS[2])
if not head then
  return redis.error_reply("CORRUPT a stream's head")
end
local upto = math.min(tonumber(ARGV[1]), head.last)
if upto <= head.trimmed then
  return 1
end
local found = redis.call('XRANGE', KEYS[1], id(upto), id(upto))
if #found ~= 1 or found[1][2][1] ~= 'l' or #found[1][2][2] ~= 32 then
  return redis.error_reply('CORRUPT a stream lacks an entry')
end
head.trimmed, head.before = upto, found[1][2][2]
write_head(KEYS[2], head)
redis.call('XTRIM', KEYS[1], 'MINID', id(upto + 1))
return 1
