---@meta neap.pg.values

--- Values that PostgreSQL has and Lua has not: the part of `neap.pg` that
--- makes them. The page is docs/types.md.
---@class neap.pg.values
---@field null userdata            NULL, where a table cannot hold nil
---@field date neap.pg.DateClass
---@field time neap.pg.TimeClass
---@field timetz neap.pg.TimetzClass
---@field timestamp neap.pg.TimestampClass
---@field timestamptz neap.pg.TimestamptzClass
---@field interval neap.pg.IntervalClass
---@field range neap.pg.RangeClass
local values = {}

--- An exact decimal number. A float counts as the shortest text that reads
--- back as the same float.
---@param v string|integer|number|neap.numeric
---@return neap.numeric
function values.numeric(v) end

---@class neap.pg.ArrayOptions
---@field n? integer               items, where some are nil
---@field type? string             "int8", ...: refused by any other array type
---@field lower? integer|integer[] lower bounds, 1 if absent

--- Mark the table as an array and return it.
---@generic T: table
---@param t T
---@param opts? neap.pg.ArrayOptions
---@return T
function values.array(t, opts) end

--- Any value as JSON; a string becomes a JSON string.
---@param v any
---@return neap.pg.Json
function values.json(v) end

--- A string of bytes, where the parameter's type does not say so.
---@param s string
---@return neap.pg.Bytea
function values.bytea(s) end

--- A string of bits, of 0 and 1.
---@param digits string|neap.pg.Bits
---@return neap.pg.Bits
function values.bits(digits) end

--- The instant so many seconds after 1970.
---@param seconds number
---@return neap.pg.Timestamptz
function values.unix(seconds) end

---@param microseconds integer
---@return neap.pg.Timestamptz
function values.unix_us(microseconds) end

---@param seconds number
---@return neap.pg.Interval
function values.seconds(seconds) end

---@class neap.pg.Json: userdata   tostring gives the text
---@class neap.pg.Bytea: userdata  tostring gives the bytes, # their number

--- tostring gives the digits, # their number, [i] the i-th.
---@class neap.pg.Bits: userdata
---@field len integer   bits
---@field bytes string  of them, filled up with zeros

---@class neap.pg.Range: userdata   tostring gives its text
---@field lower any          nil: infinite, or empty
---@field upper any
---@field lower_inc boolean  the bound itself belongs to it
---@field upper_inc boolean
---@field empty boolean

---@class neap.pg.RangeClass
---@field empty neap.pg.Range
---@overload fun(lower: any, upper: any, bounds?: "[)"|"[]"|"(]"|"()"): neap.pg.Range

---@class neap.pg.Multirange
---@field n integer
---@field [integer] neap.pg.Range

---@class neap.pg.Point
---@field x number
---@field y number

---@class neap.pg.Circle: neap.pg.Point
---@field r number

---@class neap.pg.Line
---@field a number
---@field b number
---@field c number

--- The points of an lseg, box, polygon or path.
---@class neap.pg.Figure
---@field [integer] neap.pg.Point
---@field closed? boolean   of a path

--- A value of a composite type: its attributes by name; [i] is the i-th.
---@class neap.pg.Composite
---@field [string] any
---@field [integer] any

--- What pg.codec takes.
---@class neap.pg.Codec
---@field decode? fun(data: any, format?: string): any
---@field encode? fun(v: any, format?: string): any
---@field format? "text"|"binary"|"value"  text if absent

--- Change what a type is in Lua, for the whole pool.
---@async
---@param db neap.pg.Pool
---@param name string  as in SQL
---@param spec neap.pg.Codec
function values.codec(db, name, spec) end

---@alias neap.numeric.Operand neap.numeric|integer|number|string

---@class neap.numeric: userdata
---@operator add(neap.numeric.Operand): neap.numeric
---@operator sub(neap.numeric.Operand): neap.numeric
---@operator mul(neap.numeric.Operand): neap.numeric
---@operator unm: neap.numeric
---@operator concat(any): string
local Numeric = {}

--- The quotient with exactly `scale` digits after the point, half rounded
--- away from zero.
---@param other neap.numeric.Operand
---@param scale integer
---@return neap.numeric
function Numeric:div(other, scale) end

--- Rounded half away from zero; 0 digits if absent.
---@param scale? integer
---@return neap.numeric
function Numeric:round(scale) end

---@return neap.numeric
function Numeric:abs() end

---@return integer  digits after the point
function Numeric:scale() end

---@param other neap.numeric.Operand
---@return -1|0|1
function Numeric:compare(other) end

--- An integer when there is no fraction and it fits, else the nearest float.
---@return number
function Numeric:tonumber() end

---@return integer|nil  nil when it is none, or does not fit
function Numeric:tointeger() end

---@return boolean
function Numeric:is_nan() end

---@return boolean
function Numeric:is_finite() end

---@class neap.pg.Date: userdata
---@field year integer|nil   -1 is 1 BC; nil when infinite, as are all fields
---@field month integer|nil
---@field day integer|nil
local Date = {}

---@return boolean
function Date:is_finite() end

---@class neap.pg.DateClass
---@field infinity neap.pg.Date
---@field neg_infinity neap.pg.Date
---@overload fun(text: string|neap.pg.Date|neap.pg.DateFields): neap.pg.Date
---@overload fun(year: integer, month: integer, day: integer): neap.pg.Date

---@class neap.pg.DateFields
---@field year integer
---@field month integer
---@field day integer

---@class neap.pg.Time: userdata
---@field hour integer   24 at 24:00:00
---@field min integer
---@field sec integer
---@field usec integer

---@class neap.pg.TimeClass
---@overload fun(text: string|neap.pg.Time|neap.pg.TimeFields): neap.pg.Time
---@overload fun(hour: integer, min?: integer, sec?: number, usec?: integer): neap.pg.Time

---@class neap.pg.TimeFields
---@field hour? integer
---@field min? integer
---@field sec? number
---@field usec? integer

---@class neap.pg.Timetz: neap.pg.Time
---@field offset integer   seconds east of UTC

---@class neap.pg.TimetzClass
---@overload fun(text: string|neap.pg.Timetz|neap.pg.TimetzFields): neap.pg.Timetz
---@overload fun(hour: integer, min?: integer, sec?: number, usec?: integer, offset?: integer): neap.pg.Timetz

---@class neap.pg.TimetzFields: neap.pg.TimeFields
---@field offset? integer

---@class neap.pg.Timestamp: neap.pg.Date
---@field hour integer|nil
---@field min integer|nil
---@field sec integer|nil
---@field usec integer|nil
local Timestamp = {}

--- The instant at which a clock in UTC shows this.
---@return neap.pg.Timestamptz
function Timestamp:utc() end

---@class neap.pg.TimestampFields: neap.pg.DateFields, neap.pg.TimeFields

---@class neap.pg.TimestampClass
---@field infinity neap.pg.Timestamp
---@field neg_infinity neap.pg.Timestamp
---@overload fun(text: string|neap.pg.Timestamp|neap.pg.TimestampFields): neap.pg.Timestamp
---@overload fun(year: integer, month: integer, day: integer, hour?: integer, min?: integer, sec?: number, usec?: integer): neap.pg.Timestamp

--- An instant. The fields are those of UTC.
---@class neap.pg.Timestamptz: neap.pg.Date
---@field hour integer|nil
---@field min integer|nil
---@field sec integer|nil
---@field usec integer|nil
---@field offset integer|nil  0
local Timestamptz = {}

---@return number  seconds since 1970, a float
function Timestamptz:unix() end

---@return integer  microseconds since 1970
function Timestamptz:unix_us() end

---@class neap.pg.TimestamptzFields: neap.pg.TimestampFields
---@field offset? integer   seconds east of UTC, 0 if absent

---@class neap.pg.TimestamptzClass
---@field infinity neap.pg.Timestamptz
---@field neg_infinity neap.pg.Timestamptz
---@overload fun(text: string|neap.pg.Timestamptz|neap.pg.TimestamptzFields): neap.pg.Timestamptz
---@overload fun(year: integer, month: integer, day: integer, hour?: integer, min?: integer, sec?: number, usec?: integer, offset?: integer): neap.pg.Timestamptz

---@class neap.pg.Interval: userdata
---@field months integer|nil
---@field days integer|nil
---@field us integer|nil     microseconds
local Interval = {}

--- Its length, a day being 86400 seconds; raises when it has months.
---@return number
function Interval:seconds() end

---@return boolean
function Interval:is_finite() end

---@class neap.pg.IntervalFields
---@field years? integer
---@field months? integer
---@field weeks? integer
---@field days? integer
---@field hours? integer
---@field minutes? integer
---@field seconds? number
---@field us? integer

---@class neap.pg.IntervalClass
---@field infinity neap.pg.Interval
---@field neg_infinity neap.pg.Interval
---@overload fun(text: string|neap.pg.Interval|neap.pg.IntervalFields): neap.pg.Interval

return values
