-- The order book: who buys, what is sold, how much is left, what was ordered.

create table users (
  code   text primary key,
  email  text not null,
  name   text not null
);

create table products (
  sku            text primary key,
  name           text not null,
  price_cents    bigint not null check (price_cents > 0),
  initial_stock  bigint not null
);

-- One row a product, changed by every order for it: the version tells a
-- writer that somebody was faster. The pages keep room for the new versions
-- of their rows, so that a busy table stays as small as it is.
create table stock (
  sku       text primary key references products,
  quantity  bigint not null check (quantity >= 0),
  version   bigint not null default 1
) with (fillfactor = 20);

create table orders (
  ref          bigint primary key,
  user_code    text not null references users,
  total_cents  bigint not null,
  placed_at    timestamptz not null,
  note         text
);

create table order_items (
  order_ref    bigint primary key references orders,
  sku          text not null references products,
  quantity     bigint not null check (quantity > 0),
  price_cents  bigint not null
);

-- What happened, written with the order in one transaction.
create table order_events (
  order_ref  bigint primary key references orders,
  name       text not null,
  payload    jsonb not null,
  at         timestamptz not null default now()
);

-- What the warehouse wrote down when it heard of an order, after the commit.
create table picks (
  order_ref  bigint primary key references orders,
  sku        text not null,
  quantity   bigint not null
);
