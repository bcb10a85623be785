# frozen_string_literal: true

cluster.store_discoverable
