# frozen_string_literal: true

# What projects ask about disks.
module CVolume
  class << self
    # Whether something is mounted there.
    def device_mountpoint?(mountpoint) = Mixlib::ShellOut.new('findmnt', '--mountpoint', mountpoint).run_command.exitstatus.zero?

    # Whether a device has a file system.
    def formatted?(device) = !Mixlib::ShellOut.new('blkid', '-o', 'value', '-s', 'TYPE', device).run_command.stdout.strip.empty?
  end
end
