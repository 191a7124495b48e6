-- Streams: what commit.lua and trim.lua have in common. It stands before them in one script.
-- A head is `s`, the last sequence (16 digits), its link (32 bytes), the last trimmed sequence, its link: see stream.rs.

-- FIPS 180-4. `bit` counts in signed 32 bits and takes sums of a few of them.
local constants
local function sha256(message)
  local band, bxor, ror, shr, tobit = bit.band, bit.bxor, bit.ror, bit.rshift, bit.tobit
  constants = constants or {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
  }
  local k, words = constants, '>' .. string.rep('I4', 16)
  local padded = message .. '\128' .. string.rep('\0', (55 - #message) % 64) .. struct.pack('>I8', #message * 8)
  local h1, h2, h3, h4 = 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a
  local h5, h6, h7, h8 = 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
  for at = 1, #padded, 64 do
    local w = { struct.unpack(words, padded, at) }
    for i = 17, 64 do
      local x, y = w[i - 15], w[i - 2]
      w[i] = tobit(w[i - 16] + w[i - 7] + bxor(ror(x, 7), ror(x, 18), shr(x, 3))
        + bxor(ror(y, 17), ror(y, 19), shr(y, 10)))
    end
    local a, b, c, d, e, f, g, h = h1, h2, h3, h4, h5, h6, h7, h8
    for i = 1, 64 do
      local t = h + bxor(ror(e, 6), ror(e, 11), ror(e, 25)) + bxor(g, band(e, bxor(f, g))) + k[i] + w[i]
      local u = t + bxor(ror(a, 2), ror(a, 13), ror(a, 22)) + bxor(band(a, bxor(b, c)), band(b, c))
      h, g, f, e, d, c, b, a = g, f, e, tobit(d + t), c, b, a, tobit(u)
    end
    h1, h2, h3, h4 = tobit(h1 + a), tobit(h2 + b), tobit(h3 + c), tobit(h4 + d)
    h5, h6, h7, h8 = tobit(h5 + e), tobit(h6 + f), tobit(h7 + g), tobit(h8 + h)
  end
  return struct.pack('>i4i4i4i4i4i4i4i4', h1, h2, h3, h4, h5, h6, h7, h8)
end

-- A stream's head, or nil where it is none.
local function read_head(key)
  local stored = redis.call('GET', key)
  if not stored then
    return { last = 0, link = string.rep('\0', 32), trimmed = 0, before = string.rep('\0', 32) }
  end
  local last, trimmed = string.sub(stored, 2, 17), string.sub(stored, 50, 65)
  if #stored ~= 97 or string.sub(stored, 1, 1) ~= 's' or string.find(last .. trimmed, '%D') then
    return nil
  end
  return {
    last = tonumber(last), link = string.sub(stored, 18, 49),
    trimmed = tonumber(trimmed), before = string.sub(stored, 66, 97),
  }
end

-- As it is stored.
local function head_of(head)
  return string.format('s%016d', head.last) .. head.link .. string.format('%016d', head.trimmed) .. head.before
end

local function write_head(key, head)
  redis.call('SET', key, head_of(head))
end

local function id(sequence)
  return string.format('%d-0', sequence)
end
