-- Takes one request from the budget of every key, or from none: the window of window.go, in microseconds.
-- KEYS: one per rule. ARGV[1]: the time, 0 for this server's own; then per key: limit, window, piece.
-- A key holds {start, last, n, start, last, n, ...}, oldest bucket first.
-- Returns {1 admitted or 0, then per key: room before this request 1 or 0, remaining, wait, reset}.
local maxBuckets = 66
local now = tonumber(ARGV[1])
if now == 0 then
  local t = redis.call('TIME')
  now = t[1] * 1000000 + t[2]
end

local windows, sums, admitted = {}, {}, 1
for i, key in ipairs(KEYS) do
  local limit, length = tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local raw = redis.call('GET', key)
  local stored = raw and cmsgpack.unpack(raw) or {}
  -- A clock set back by more than a window would hold the client for as long as it was set back: begin anew.
  if #stored > 0 and stored[#stored - 1] > now + length then stored = {} end
  local live, sum = {}, 0
  for j = 1, #stored, 3 do
    if stored[j + 1] + length > now then
      local k = #live
      live[k + 1], live[k + 2], live[k + 3] = stored[j], stored[j + 1], stored[j + 2]
      sum = sum + stored[j + 2]
    end
  end
  windows[i], sums[i] = live, sum
  if sum >= limit then admitted = 0 end
end

local reply = {admitted}
for i, key in ipairs(KEYS) do
  local limit, length, piece = tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
  local w, sum = windows[i], sums[i]
  local room = sum < limit and 1 or 0
  if admitted == 1 then
    sum = sum + 1
    local n = #w
    local at = n > 0 and math.max(now, w[n - 1]) or now
    if n > 0 and at - w[n - 2] < piece then
      w[n - 1], w[n] = at, w[n] + 1
    elseif n >= 3 * maxBuckets then
      w[n - 2], w[n - 1], w[n] = at, at, w[n] + 1
    else
      w[n + 1], w[n + 2], w[n + 3] = at, at, 1
    end
    redis.call('SET', key, cmsgpack.pack(w), 'PX', math.ceil((at - now + length) / 1000) + 1)
  end
  local wait, over = 0, sum - limit + 1
  for j = 1, #w, 3 do
    if over <= 0 then break end
    over = over - w[j + 2]
    wait = w[j + 1] + length - now
  end
  local reset = #w > 0 and math.max(0, w[#w - 1] + length - now) or 0
  local k = #reply
  reply[k + 1], reply[k + 2], reply[k + 3], reply[k + 4] = room, math.max(0, limit - sum), wait, reset
end
return reply
