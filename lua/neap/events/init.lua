--- Domain events: publishers, and what delivers events between processes.

local publisher = require "neap.events.publisher"

return {
  publisher = publisher.new,
}
