-- Writes only over a value that is there and has not expired by the gateway's clock.
-- KEYS: the key. ARGV: now in milliseconds (16 digits), the new value with its head, milliseconds until it may go.
local head = redis.call('GETRANGE', KEYS[1], 0, 16)
if head == '' then
  return 0
end
local expires = string.match(head, '^e(%d+)$')
if not expires or #expires ~= 16 then
  return redis.error_reply('CORRUPT a value without its head')
end
if expires <= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
