-- One atomic change: every expected revision is compared before anything is written.
-- KEYS: those of the expectations, then one for each write; two for an append, the stream and its head; none for a note.
-- ARGV: the number of expectations and of appends, the expected revisions (16 digits), then for each write its kind and its data,
-- then for each append its seal.
-- A script that fails half-way is not rolled back: so everything that can fail is done before the first write.
local call, sub, match, format = redis.call, string.sub, string.match, string.format
local expectations, appends = tonumber(ARGV[1]), tonumber(ARGV[2])
local first, last = 3 + expectations, #ARGV - appends
-- How many keys a write of this kind has.
local keys = { put = 1, insert = 1, remove = 1, delete = 1, touch = 1, append = 2, note = 0 }

-- A record that is expected is mostly written too, and a set gets many members: each is looked at once, and many in one command
-- where that takes none of what they hold.
local KEYS_PER_COMMAND_MAX = 500
local NEVER_WRITTEN = '0000000000000000'
local known, checked = {}, {}

-- The digits of the revision of what has this kind of head; nil where it has another.
local RECORD, RECORD_OR_TALLY = '^r(' .. string.rep('%d', 16) .. ')$', '^[rt](' .. string.rep('%d', 16) .. ')$'
local function revision(key, kind)
  local head = call('GETRANGE', key, 0, 16)
  if head == '' then
    return NEVER_WRITTEN
  end
  return match(head, kind)
end

-- Those that are expected never to have been written.
local new, are_new = {}, true
for i = 1, expectations do
  if ARGV[2 + i] == NEVER_WRITTEN then
    new[#new + 1] = KEYS[i]
  end
end
for from = 1, #new, KEYS_PER_COMMAND_MAX do
  are_new = are_new and call('EXISTS', unpack(new, from, math.min(from + KEYS_PER_COMMAND_MAX - 1, #new))) == 0
end

for i = 1, expectations do
  local key, expected = KEYS[i], ARGV[2 + i]
  if expected ~= NEVER_WRITTEN or not are_new then
    local found = revision(key, RECORD_OR_TALLY)
    if not found then
      return redis.error_reply('CORRUPT a record without its head')
    end
    if found ~= expected then
      return 0
    end
  end
  known[key] = expected
end

-- What the second pass writes: a tally's head by the index of its key, a stream's head by its name.
local heads, streams = {}, {}
local i = expectations + 1
for at = first, last, 2 do
  local kind, key = ARGV[at], KEYS[i]
  if kind == 'put' then
    known[key] = known[key] or revision(key, RECORD)
    if not known[key] then
      return redis.error_reply('CORRUPT a record without its head')
    end
  elseif (kind == 'insert' or kind == 'remove') and not checked[key] then
    call('ZCARD', key)
    checked[key] = true
  elseif kind == 'touch' then
    local stored = call('GET', key) or 't' .. string.rep('0', 32)
    local digits = match(stored, '^t(%d+)$')
    if not digits or #digits ~= 32 then
      return redis.error_reply('CORRUPT a tally without its head')
    end
    local latest = sub(digits, 17)
    if latest < ARGV[at + 1] then
      latest = ARGV[at + 1]
    end
    heads[i] = format('t%016d', tonumber(sub(digits, 1, 16)) + 1) .. latest
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
-- A seal is the value's SHA-256, and a guess: the link before it, its sequence, its link. See ends.rs.
local moved
local sealed = last
i = expectations + 1
for at = first, last, 2 do
  local kind, data = ARGV[at], ARGV[at + 1]
  if kind == 'append' then
    local head = streams[KEYS[i]]
    head.last, sealed = head.last + 1, sealed + 1
    local seal = ARGV[sealed]
    if sub(seal, 33, 64) == head.link and tonumber(sub(seal, 65, 80)) == head.last then
      head.link = sub(seal, 81, 112)
    else
      head.link = sha256(head.link .. struct.pack('>I8', head.last) .. sub(seal, 1, 32))
      moved = head
    end
    call('XADD', KEYS[i], id(head.last), 'l', head.link, 'v', data)
    head.key = KEYS[i + 1]
  end
  i = i + keys[kind]
end

-- Values are written many at a time, and so are the members of a set: in the order of the writes, for one that is written twice.
local values = {}

local function flush_values()
  if #values > 0 then
    call('MSET', unpack(values))
    values = {}
  end
end

local function set(key, value)
  if #values >= 2 * KEYS_PER_COMMAND_MAX then
    flush_values()
  end
  values[#values + 1] = key
  values[#values + 1] = value
end

local pending = {}

local function flush(key)
  local of = pending[key]
  if of then
    call(of.command, key, unpack(of))
    pending[key] = nil
  end
end

local function gather(command, key, score, member)
  local of = pending[key]
  if of and (of.command ~= command or #of >= KEYS_PER_COMMAND_MAX) then
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

for _, head in pairs(streams) do
  set(head.key, head_of(head))
end
local sets, notes = {}, {}
i = expectations + 1
for at = first, last, 2 do
  local kind, key, data = ARGV[at], KEYS[i], ARGV[at + 1]
  if kind == 'put' then
    set(key, format('r%016d', tonumber(known[key]) + 1) .. data)
  elseif kind == 'touch' then
    set(key, heads[i])
  elseif kind == 'insert' then
    gather('ZADD', key, '0', data)
    sets[#sets + 1] = key
  elseif kind == 'remove' then
    gather('ZREM', key, nil, data)
    sets[#sets + 1] = key
  elseif kind == 'delete' then
    flush_values()
    call('UNLINK', key)
  elseif kind == 'note' then
    notes[#notes + 1] = data
  end
  i = i + keys[kind]
end
flush_values()
for at = 1, #sets do
  flush(sets[at])
end
for at = 1, #notes do
  -- Everything is written by now: a note that may not be sent is a lost one, and no failure of the commit.
  redis.pcall('PUBLISH', 'pc:notes', notes[at])
end
if moved then
  return { 1, format('%d', moved.last), moved.link }
end
return 1
