--- SQL scripts: where one statement ends and the next begins. Pure.
---
--- The server takes one statement at a time, so a file of them is cut at the
--- semicolons that are not inside a string, a quoted name, a dollar quote, a
--- comment, parentheses or the body of a BEGIN ATOMIC function.

local script = {}

---@class neap.pg.script.Statement
---@field text string
---@field line integer       of its first word
---@field first_word string  in lower case

local BLANK <const> = { [9] = true, [10] = true, [11] = true, [12] = true, [13] = true, [32] = true }

--- The end of a quoted piece that begins at `from`; the quote doubled stands
--- for itself, and after a backslash any byte if there are escapes.
local function quote_end(text, from, quote, has_escapes)
  local at = from + 1
  while true do
    local byte = text:sub(at, at)
    if byte == "" then return #text end
    if byte == "\\" and has_escapes then
      at = at + 1
    elseif byte == quote then
      if text:sub(at + 1, at + 1) ~= quote then return at end
      at = at + 1
    end
    at = at + 1
  end
end

--- The end of a block comment, which may hold others.
local function comment_end(text, from)
  local depth, at = 1, from + 2
  while depth > 0 do
    local open = text:find("/*", at, true)
    local close = text:find("*/", at, true)
    if not close then return #text end
    if open and open < close then
      depth, at = depth + 1, open + 2
    else
      depth, at = depth - 1, close + 2
    end
  end
  return at - 1
end

--- The scanner's view of the statement it is in.
local function fresh()
  return { parens = 0, blocks = 0, words = {}, first = nil, last = nil }
end

--- Follow the words: only in CREATE FUNCTION or PROCEDURE does BEGIN open a
--- block, and only within one is CASE closed by an END of its own.
local function follow(state, word)
  local words = state.words
  if #words < 4 then words[#words + 1] = word end
  local at = words[2] == "or" and words[3] == "replace" and 4 or 2
  local is_routine = words[1] == "create"
    and (words[at] == "function" or words[at] == "procedure")
  if not is_routine then return end
  if word == "begin" or word == "case" and state.blocks > 0 then
    state.blocks = state.blocks + 1
  elseif word == "end" and state.blocks > 0 then
    state.blocks = state.blocks - 1
  end
end

--- The end of the token at `at`, and the word it is, if it is one.
local function token_end(text, at)
  local byte = text:sub(at, at)
  local two = text:sub(at, at + 1)
  if byte == "'" then
    return quote_end(text, at, "'", false)
  elseif byte == '"' then
    return quote_end(text, at, '"', false)
  elseif two == "--" then
    return (text:find("\n", at, true) or #text + 1) - 1, nil, true
  elseif two == "/*" then
    return comment_end(text, at), nil, true
  elseif two == "E'" or two == "e'" then
    return quote_end(text, at + 1, "'", true)
  elseif byte == "$" then
    local tag = text:match("^%$[%a_\128-\255][%w_\128-\255]*%$", at)
      or text:match("^%$%$", at)
    if not tag then return at end
    local _, close = text:find(tag, at + #tag, true)
    return close or #text
  end
  local word = text:match("^[%a_\128-\255][%w_$\128-\255]*", at)
  if word then return at + #word - 1, word:lower() end
  local number = text:match("^%d[%w_.]*", at)
  return number and at + #number - 1 or at
end

--- Cut a script into its statements; comments between them fall away.
---@param text string
---@return neap.pg.script.Statement[]
function script.split(text)
  local found, state = {}, fresh()
  local at, line, counted = 1, 1, 1

  local function line_at(place)
    local _, breaks = text:sub(counted, place - 1):gsub("\n", "")
    line, counted = line + breaks, place
    return line
  end

  local function finish()
    if state.first then
      found[#found + 1] = {
        text = text:sub(state.first, state.last),
        line = line_at(state.first),
        first_word = state.words[1] or "",
      }
    end
    state = fresh()
  end

  while at <= #text do
    local byte = text:byte(at)
    local last, word, is_comment = token_end(text, at)
    if byte == 59 and state.parens == 0 and state.blocks == 0 then -- ;
      finish()
    elseif not is_comment and not BLANK[byte] then
      state.first, state.last = state.first or at, last
      if byte == 40 then
        state.parens = state.parens + 1
      elseif byte == 41 then
        state.parens = math.max(0, state.parens - 1)
      elseif word then
        follow(state, word)
      end
    end
    at = last + 1
  end
  finish()
  return found
end

return script
