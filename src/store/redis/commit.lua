-- One atomic change: every expected revision is compared before anything is written.
-- KEYS: those of the expectations, then one for each write; two for an append, the stream and its head; none for a note.
-- ARGV: the number of expectations, their revisions (16 digits), then for each write its kind and its data.
-- A script that fails half-way is not rolled back: so everything that can fail is done before the first write.
local expectations = tonumber(ARGV[1])
-- How many keys a write of this kind has.
local keys = { put = 1, insert = 1, remove = 1, delete = 1, touch = 1, append = 2, note = 0 }

-- The digits of a record's revision; nil where it is no record.
local function digits_of(head)
  if head == '' then
    return '0000000000000000'
  end
  local digits = string.match(head, '^r(%d+)$')
  if not digits or #digits ~= 16 then
    return nil
  end
  return digits
end

-- A record that is expected is mostly written too, and a set gets many members: each is looked at once.
local known, checked = {}, {}

for i = 1, expectations do
  local key, expected = KEYS[i], ARGV[1 + i]
  local head = redis.call('GETRANGE', key, 0, 16)
  -- Mostly it is as expected, and needs no closer look.
  if head ~= 'r' .. expected then
    local found = digits_of(head)
    if not found then
      return redis.error_reply('CORRUPT a record without its head')
    end
    if found ~= expected then
      return 0
    end
  end
  known[key] = expected
end

-- What the second pass writes: a record's head or a tally by the index of its key, a stream's head by its name.
local heads, streams = {}, {}
local i = expectations + 1
for at = 2 + expectations, #ARGV, 2 do
  local kind, key = ARGV[at], KEYS[i]
  if kind == 'put' then
    local found = known[key] or digits_of(redis.call('GETRANGE', key, 0, 16))
    if not found then
      return redis.error_reply('CORRUPT a record without its head')
    end
    heads[i] = string.format('r%016.0f', tonumber(found) + 1)
  elseif (kind == 'insert' or kind == 'remove') and not checked[key] then
    redis.call('ZCARD', key)
    checked[key] = true
  elseif kind == 'touch' then
    local stored = redis.call('GET', key) or 't' .. string.rep('0', 32)
    local digits = string.match(stored, '^t(%d+)$')
    if not digits or #digits ~= 32 then
      return redis.error_reply('CORRUPT a tally without its head')
    end
    local latest = string.sub(digits, 17)
    if latest < ARGV[at + 1] then
      latest = ARGV[at + 1]
    end
    heads[i] = string.format('t%016.0f', tonumber(string.sub(digits, 1, 16)) + 1) .. latest
  elseif kind == 'append' and not streams[key] then
    local head = read_head(KEYS[i + 1])
    if not head then
      return redis.error_reply("CORRUPT a stream's head")
    end
    streams[key] = head
  end
  i = i + keys[kind]
end

-- Appends come first, and all go to one stream: if its own idea of its end is another, or if it is none, it refuses the first
-- of them before anything is written.
-- Before a value stand its SHA-256, and a guess: the link before it, its sequence, its link. See ends.rs.
local moved
i = expectations + 1
for at = 2 + expectations, #ARGV, 2 do
  local kind, data = ARGV[at], ARGV[at + 1]
  if kind == 'append' then
    local head = streams[KEYS[i]]
    head.last = head.last + 1
    if string.sub(data, 33, 64) == head.link and tonumber(string.sub(data, 65, 80)) == head.last then
      head.link = string.sub(data, 81, 112)
    else
      head.link = sha256(head.link .. struct.pack('>I8', head.last) .. string.sub(data, 1, 32))
      moved = head
    end
    redis.call('XADD', KEYS[i], id(head.last), 'l', head.link, 'v', string.sub(data, 113))
    write_head(KEYS[i + 1], head)
  end
  i = i + keys[kind]
end

-- A set gets its members many at a time. Whoever comes and goes in one commit does so in the order of the writes.
local MEMBERS_PER_COMMAND_MAX = 500
local pending = {}

local function flush(key)
  local of = pending[key]
  if of then
    redis.call(of.command, key, unpack(of))
    pending[key] = nil
  end
end

local function gather(command, key, score, member)
  local of = pending[key]
  if of and (of.command ~= command or #of >= MEMBERS_PER_COMMAND_MAX) then
    flush(key)
    of = nil
  end
  if not of then
    of = { command = command }
    pending[key] = of
  end
  if score then
    of[#of + 1] = score
  end
  of[#of + 1] = member
end

local sets, notes = {}, {}
i = expectations + 1
for at = 2 + expectations, #ARGV, 2 do
  local kind, key, data = ARGV[at], KEYS[i], ARGV[at + 1]
  if kind == 'put' then
    redis.call('SET', key, heads[i] .. data)
  elseif kind == 'touch' then
    redis.call('SET', key, heads[i])
  elseif kind == 'insert' then
    gather('ZADD', key, '0', data)
    sets[#sets + 1] = key
  elseif kind == 'remove' then
    gather('ZREM', key, nil, data)
    sets[#sets + 1] = key
  elseif kind == 'delete' then
    redis.call('UNLINK', key)
  elseif kind == 'note' then
    notes[#notes + 1] = data
  end
  i = i + keys[kind]
end
for at = 1, #sets do
  flush(sets[at])
end
for at = 1, #notes do
  -- Everything is written by now: a note that may not be sent is a lost one, and no failure of the commit.
  redis.pcall('PUBLISH', 'pc:notes', notes[at])
end
if moved then
  return { 1, string.format('%.0f', moved.last), moved.link }
end
return 1
