# frozen_string_literal: true

# Peers find the node from now on, and at the end with what recipes have found out.
cluster.store_discoverable
defer_block('make the node known with all its attributes') { cluster.store_discoverable }
