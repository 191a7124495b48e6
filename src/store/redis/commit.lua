-- One atomic change: every expected revision is compared before anything is written.
-- KEYS: those of the expectations, then one for each write.
-- ARGV: the number of expectations, their revisions (16 digits), then for each write its kind and its data.
-- A script that fails half-way is not rolled back: so everything that can fail is done before the first write.
local expectations = tonumber(ARGV[1])

local function revision(key)
  local head = redis.call('GETRANGE', key, 0, 16)
  if head == '' then
    return '0000000000000000'
  end
  local digits = string.match(head, '^r(%d+)$')
  if not digits or #digits ~= 16 then
    return nil
  end
  return digits
end

for i = 1, expectations do
  local found = revision(KEYS[i])
  if not found then
    return redis.error_reply('CORRUPT a record without its head')
  end
  if found ~= ARGV[1 + i] then
    return 0
  end
end

local heads = {}
local at = 2 + expectations
for i = expectations + 1, #KEYS do
  local kind = ARGV[at]
  if kind == 'put' then
    local found = revision(KEYS[i])
    if not found then
      return redis.error_reply('CORRUPT a record without its head')
    end
    heads[i] = string.format('r%016.0f', tonumber(found) + 1)
  elseif kind == 'insert' or kind == 'remove' then
    redis.call('ZCARD', KEYS[i])
  end
  at = at + 2
end

at = 2 + expectations
for i = expectations + 1, #KEYS do
  local kind, data = ARGV[at], ARGV[at + 1]
  if kind == 'put' then
    redis.call('SET', KEYS[i], heads[i] .. data)
  elseif kind == 'insert' then
    redis.call('ZADD', KEYS[i], 0, data)
  elseif kind == 'remove' then
    redis.call('ZREM', KEYS[i], data)
  elseif kind == 'delete' then
    redis.call('UNLINK', KEYS[i])
  end
  at = at + 2
end
return 1
