--- Domain events: publishers.

local publisher = require "neap.events.publisher"

return {
  publisher = publisher.new,
}
