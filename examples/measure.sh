#!/bin/sh
# Stands for a real program: `measure.sh SENSOR NUMBER` works a moment and writes a result. It
# fails for a sensor that is not calibrated: where $CALIBRATION has no file of its name.
sensor=$1 number=$2
sleep 0.2
if [ -n "$CALIBRATION" ] && [ ! -e "$CALIBRATION/$sensor" ]; then
    echo "measure.sh: the $sensor sensor is not calibrated" >&2
    exit 1
fi
echo "$sensor sensor, measurement $number: $((${#sensor} * number)) units (client $TASK_CLIENT_ID)"
